"""The operators' commands."""

import random

import pytest
import responses

from shop import cli

DESK = "http://localhost:5000"


@responses.activate
def test_placing_prints_an_id_a_line(capsys):
    responses.post(DESK + "/orders", json={"id": "abc"}, status=201)

    assert cli.main(["place", "--count", "2"]) == 0
    assert capsys.readouterr().out == "abc\nabc\n"


@responses.activate
def test_a_refused_order_is_told(capsys):
    responses.post(DESK + "/orders", json={"message": "no"}, status=503)

    assert cli.main(["place"]) == 1
    assert "refused" in capsys.readouterr().err


def test_baskets_are_the_same_for_the_same_seed():
    assert cli.basket(random.Random(7)) == cli.basket(random.Random(7))


@responses.activate
def test_watching_ends_with_the_order(capsys, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for status in ("new", "new", "done"):
        responses.get(DESK + "/orders/abc", json={"status": status})

    assert cli.main(["watch", "abc"]) == 0
    assert capsys.readouterr().out == "new\ndone\n"


def test_an_unknown_command_is_refused(capsys):
    with pytest.raises(SystemExit):
        cli.main(["dance"])
