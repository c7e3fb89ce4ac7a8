"""Twins of apollo-client3, whose listeners are objects with attributes that are named like keys."""

import pytest
from apollo_twins import FIRST, SECOND, outcome, read_all

import capa_apollo.pyapollo.apollo_client
from capa_core.conformance._tolerance import wait_until

pytest.importorskip("telnetlib", reason="apollo-client3 imports it, and Python 3.13 has it no longer")
pyapollo = pytest.importorskip("pyapollo.apollo_client")

NAMESPACES = ["application", "other", "shipping.json"]
MODULES = {"original": pyapollo, "twin": capa_apollo.pyapollo.apollo_client}


def client_of(world, tmp_path, *more, **named):
    arguments = {"namespaces": NAMESPACES, "ip": "127.0.0.1", "cache_file_path": str(tmp_path / "cache")}
    return MODULES[world.kind].ApolloClient("app", "default", world.url, *more, **arguments | named)


def poll(client, world, is_seen):
    """Let the original read once; its thread does so every five minutes."""
    if world.kind == "original":
        client._long_poll()
    wait_until(is_seen)


def test_values_read_the_same(worlds, tmp_path):
    def steps(world):
        client = client_of(world, tmp_path)
        poll(client, world, lambda: True)
        return read_all(client)

    original, twin = map(steps, worlds)
    assert original == twin


def test_positional_arguments_mean_the_same(worlds, tmp_path):
    def steps(world):
        cls = MODULES[world.kind].ApolloClient
        more = ("", "DEV", ["other"], "127.0.0.1", 60, 300, str(tmp_path / "cache"))
        client = cls("app", "default", world.url, *more)
        poll(client, world, lambda: True)
        return client.get_value("a", namespace="other")

    original, twin = map(steps, worlds)
    assert "other" == original == twin


def test_attributes_and_watched_keys_are_set_the_same(worlds, tmp_path, monkeypatch):
    monkeypatch.setenv("from_environment", "environment")

    def steps(world):
        class Settings:
            a = 0
            number = 1.5
            flag = True
            missing = "stays"
            added = "later"
            from_environment = "code"

            def json(self):
                """Not an attribute to set."""

        told = []
        client = client_of(world, tmp_path, namespaces=["application"])
        client.watch_key_change("a", lambda new: told.append((Settings.a, new)))
        client.add_listener(Settings)
        poll(client, world, lambda: Settings.a == 1)
        world.release("application", SECOND)
        poll(client, world, lambda: Settings.added == "new")
        values = {name: one for name, one in vars(Settings).items() if name in {*FIRST, *SECOND, "missing"}}
        return told, Settings.from_environment, {name: one for name, one in values.items() if name != "json"}

    original, twin = map(steps, worlds)
    assert original == twin


def test_a_namespace_that_does_not_exist_reads_the_same(worlds, tmp_path):
    def steps(world):
        client = client_of(world, tmp_path, namespaces=["missing"])
        poll(client, world, lambda: True)
        return outcome(lambda: client.get_value("a", "default", "missing"))

    original, twin = map(steps, worlds)
    assert "default" == original == twin


def test_without_a_server_both_return_the_default(worlds, tmp_path, monkeypatch):
    def steps(world):
        client = MODULES[world.kind].ApolloClient(
            "unknown",
            "default",
            "http://127.0.0.1:9",
            namespaces=["x"],
            ip="127.0.0.1",
            cache_file_path=str(tmp_path / "cache"),
        )
        poll(client, world, lambda: True)
        return outcome(lambda: client.get_value("a", "default", "x"))

    original, twin = map(steps, worlds)
    assert "default" == original == twin
