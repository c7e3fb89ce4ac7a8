"""How the catalogue calls the order desk."""

import json
from unittest.mock import Mock, patch

import pytest
import requests

from shop import settings
from shop.catalog import client
from shop.http import SignedRequest


@patch("requests.post")
def test_news_are_signed(post):
    assert client.tell_restocked("whisk", 9) is True

    (url,), sent = post.call_args
    assert url == settings.current().orders_url + "/hooks/restocked"
    assert json.loads(sent["data"]) == {"sku": "whisk", "stock": 9}
    assert sent["auth"] == SignedRequest("between-us")


@patch("requests.post", side_effect=requests.ConnectionError("nobody there"))
def test_a_desk_that_is_away_is_no_error(post, caplog):
    assert client.tell_restocked("whisk", 9) is False
    assert "nobody there" in caplog.text


@patch("requests.post")
def test_a_refusal_is_logged(post, caplog):
    refused = Mock(text="bad signature")
    post.return_value.raise_for_status.side_effect = requests.HTTPError(response=refused)

    assert client.tell_restocked("whisk", 9) is False
    assert "bad signature" in caplog.text


def test_bestsellers_come_from_the_desk(monkeypatch):
    answer = Mock(status_code=200)
    answer.json.return_value = {"bestsellers": [{"sku": "whisk", "sold": 3}]}
    monkeypatch.setattr("requests.get", Mock(return_value=answer))

    assert client.bestsellers(5) == [{"sku": "whisk", "sold": 3}]


@pytest.mark.parametrize("error", [requests.ConnectionError, requests.ReadTimeout])
def test_no_desk_no_bestsellers(error):
    with patch("requests.get", side_effect=error):
        assert client.bestsellers(5) == []


def test_a_desk_in_trouble_has_no_bestsellers():
    with patch.object(requests, "get", return_value=Mock(status_code=500)):
        assert client.bestsellers(5) == []
