"""The end of `apply`: the data of the moved SDKs, what serves it now, and the tables of capa.toml that choose."""

import json

import pytest

from capa_migration.cli import main

HEAD = "in capa.toml     keeps"
FILES = {"celery": "from celery import Celery\n", "requests": "import requests\nrequests.get('http://a')\n"}


@pytest.fixture
def applied(tmp_path, monkeypatch, capsys):
    """A function that applies the rewrite to files that use the SDKs, and returns the lines that it prints."""
    monkeypatch.delenv("CAPA_PROFILE", raising=False)
    monkeypatch.chdir(tmp_path)

    def apply(*sdks, settings="", options=()):
        for sdk in sdks:
            (tmp_path / f"use_{sdk}.py").write_text(FILES[sdk])
        if settings:
            (tmp_path / "capa.toml").write_text(settings)
        assert 0 == main(["migrate", "apply", str(tmp_path), *options])
        return capsys.readouterr().out.splitlines()

    return apply


def rows(lines):
    """Return the cells of the table under its head."""
    heads = [number for number, line in enumerate(lines, 1) if line.startswith(HEAD)]
    assert heads, "\n".join(lines)
    (start,) = heads
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[start : start + 3]]


def test_the_blocks_of_celery_are_listed_with_the_embedded_engines(applied):
    lines = applied("celery")

    assert [
        ["[pubsub.celery]", "celery: tasks", "sqlite (embedded default)"],
        [
            "[state.celery]",
            "celery: results, chords, revocations and the last runs of beat",
            "sqlite (embedded default)",
        ],
        ["[lock.celery]", "celery: lock of beat", "sqlite (embedded default)"],
    ] == [row[:3] for row in rows(lines)]
    assert {"memory", "redis", "sqlite"} <= set(rows(lines)[2][3].split(", "))
    assert "`capa doctor` checks the choice" in lines[-2]


def test_the_engines_that_capa_toml_chooses_are_shown_with_their_place(applied, tmp_path):
    lines = applied(
        "celery", settings='[pubsub.default]\ndriver = "redis"\n[state.celery]\ndriver = "memory"\n'
    )

    assert [
        f"redis ({tmp_path}/capa.toml: pubsub.default.driver)",
        f"memory ({tmp_path}/capa.toml: state.celery.driver)",
        "nothing",
    ] == [row[2] for row in rows(lines)]


def test_an_sdk_that_keeps_nothing_has_no_table(applied):
    assert not [line for line in applied("requests") if line.startswith(HEAD)]


def test_a_second_run_that_changes_nothing_has_no_table(applied):
    applied("celery")

    assert not [line for line in applied() if line.startswith(HEAD)]


def test_a_capa_toml_that_cannot_be_used_is_named_and_the_rewrite_stands(applied, tmp_path):
    lines = applied("celery", settings="[statee.a]\n")

    assert [line for line in lines if line.startswith("engines: ") and "unknown key 'statee'" in line]
    assert "from capa_celery import Celery\n" == (tmp_path / "use_celery.py").read_text()


def test_json_has_the_same_table(applied, tmp_path):
    settings = '[pubsub.default]\ndriver = "redis"\n[state.celery]\ndriver = "memory"\n'
    data = json.loads("\n".join(applied("celery", settings=settings, options=["--json"])))

    assert data["engines_problem"] is None
    assert [
        ("pubsub", "redis", f"{tmp_path}/capa.toml: pubsub.default.driver"),
        ("state", "memory", f"{tmp_path}/capa.toml: state.celery.driver"),
        ("lock", None, None),
    ] == [(one["block"], one["driver"], one["origin"]) for one in data["engines"]]
    assert {"memory", "redis", "sqlite"} <= set(data["engines"][2].pop("drivers"))
    assert {
        "sdk": "celery",
        "block": "lock",
        "name": "celery",
        "keeps": "lock of beat",
        "shared": True,
        "driver": None,
        "origin": None,
    } == data["engines"][2]


@pytest.mark.parametrize(
    ("sdk", "settings", "problem"), [("celery", "[statee.a]\n", "unknown key 'statee'"), ("requests", "", "")]
)
def test_json_has_no_engines_where_there_is_nothing_to_choose(applied, sdk, settings, problem):
    data = json.loads("\n".join(applied(sdk, settings=settings, options=["--json"])))

    assert [] == data["engines"]
    assert problem in (data["engines_problem"] or "")
