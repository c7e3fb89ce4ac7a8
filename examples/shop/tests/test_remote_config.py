"""Values from Apollo, live."""

import pytest
from pyapollos.apollo_client import ApolloClient

from shop import remote_config


def test_a_value_comes_from_apollo():
    assert remote_config.text("shop.currency") == "EUR"


def test_an_unknown_key_gives_the_default():
    assert remote_config.text("no.such.key", "fallback") == "fallback"


def test_a_change_is_seen_without_a_restart(change_config):
    change_config("pricing.discount_percent", "15")

    assert remote_config.number("pricing.discount_percent", 0) == 15


def test_a_json_namespace_is_a_document():
    assert remote_config.document("shipping.json")["express"]["days"] == 1


@pytest.mark.parametrize("word, expected", [("true", True), ("YES", True), ("0", False), ("no", False)])
def test_flags_are_read_from_words(change_config, word, expected):
    change_config("notifications.enabled", word)

    assert remote_config.flag("notifications.enabled") is expected


def test_a_broken_number_falls_back_and_is_logged(change_config, caplog):
    change_config("orders.expire_after_minutes", "soon")

    assert remote_config.number("orders.expire_after_minutes", 30) == 30
    assert "orders.expire_after_minutes" in caplog.text


def test_a_process_has_one_client():
    first = remote_config.client()

    assert remote_config.client() is first
    assert isinstance(first, ApolloClient)
