"""Twins of apollo-python and ApolloPyClient, whose listeners are called as `f(action, namespace, key, value)`."""

import apollo_python.apollo_client
import apollo_python.core
import ApolloPyClient.ApolloPyClient
import pytest
from apollo_twins import CHANGED_YAML, SECOND, outcome, read_all
from loguru import logger

import capa_apollo.apollo_python.apollo_client
import capa_apollo.apollo_python.core
import capa_apollo.ApolloPyClient.ApolloPyClient
from capa_core.conformance._tolerance import wait_until

NAMESPACES = {"application": -1, "other": -1, "nested.yaml": -1, "shipping.json": -1}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    """Keep the originals from setting up loguru for the whole process, and from a second thread."""
    monkeypatch.setattr(logger, "remove", lambda *_: None)
    monkeypatch.setattr(logger, "add", lambda *_, **__: 0)
    for module in (apollo_python.apollo_client, apollo_python.core, ApolloPyClient.ApolloPyClient):
        logger.disable(module.__name__)
        # It overwrites the values that a poll has just written, and may undo it.
        monkeypatch.setattr(module.ApolloClient, "_heart_beat", lambda self: None)


class TestApolloPython:
    """apollo-python, whose client is py3-apollo-client's with all documents parsed."""

    MODULES = {"original": apollo_python.apollo_client, "twin": capa_apollo.apollo_python.apollo_client}
    CORE = {"original": apollo_python.core, "twin": capa_apollo.apollo_python.core}

    def client(self, world, tmp_path, modules=MODULES, **more):
        arguments = {
            "client_ip": "127.0.0.1",
            "cache_path": str(tmp_path),
            "notification_map": dict(NAMESPACES),
            "need_hot_update": False,
        }
        return modules[world.kind].ApolloClient("app", world.url, **arguments | more)

    @pytest.mark.parametrize("modules", [MODULES, CORE])
    def test_values_read_the_same(self, worlds, tmp_path, modules):
        def steps(world):
            client = self.client(world, tmp_path, modules)
            client.stop()
            return [
                *read_all(client),
                client.get_value_from_local("dotted.key"),
                client.get_value_from_local("no"),
            ]

        original, twin = map(steps, worlds)
        assert original == twin

    @pytest.mark.parametrize("namespace", ["nested.yaml", "shipping.json"])
    def test_documents_are_read_by_dotted_keys_the_same(self, worlds, tmp_path, namespace):
        def steps(world):
            client = self.client(world, tmp_path)
            client.stop()
            keys = ("db.host", "db.ports", "db", "default.price", "default", "default.no", "no")
            return [client.get_value(key, "d", namespace) for key in keys] + [
                client.get_json_from_net(namespace)
            ]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_listeners_get_the_same_changes(self, worlds, tmp_path):
        def steps(world):
            told = []
            client = self.client(
                world,
                tmp_path,
                notification_map={"application": -1, "nested.yaml": -1},
                need_hot_update=world.kind == "twin",
                change_listener=lambda *change: told.append(change),
            )
            if world.kind == "original":
                # Its thread sleeps 2 s between two polls, and its first polls only learn the releases' numbers.
                client.cycle_time = 0.05
                client._start_hot_update()
                wait_until(lambda: all("notificationId" in held for held in client._cache.values()))
            world.release("application", SECOND)
            wait_until(lambda: len(told) >= 5)
            world.release("nested.yaml", CHANGED_YAML)
            wait_until(lambda: len(told) >= 7)
            client.stop()
            return sorted(told, key=repr)

        original, twin = map(steps, worlds)
        assert original == twin

    @pytest.mark.parametrize(("modules", "variable"), [(MODULES, "APP_ID"), (CORE, "APPID")])
    def test_the_environment_wins_the_same(self, worlds, tmp_path, monkeypatch, modules, variable):
        def steps(world):
            monkeypatch.setenv("APOLLO_META", world.url)
            monkeypatch.setenv(variable, "app")
            monkeypatch.setenv("ENV", "FAT")
            cls = modules[world.kind].ApolloClient
            client = cls(
                "no", "http://no", client_ip="127.0.0.1", cache_path=str(tmp_path), need_hot_update=False
            )
            client.stop()
            return [client.app_id, client.env, client.get_value("a")]

        original, twin = map(steps, worlds)
        assert original == twin


class TestApolloPyClient:
    """ApolloPyClient, which parses texts."""

    MODULES = {"original": ApolloPyClient.ApolloPyClient, "twin": capa_apollo.ApolloPyClient.ApolloPyClient}
    TYPED = {
        "whole": "12",
        "negative": "-3",
        "number": "1.50",
        "true": "True",
        "false": "FALSE",
        "list": "[1, 'two']",
        "dict": "{'k': None}",
        "tuple": "(1, 2)",
        "none": "None",
        "version": "1.2.3",
        "exponent": "1e5",
        "padded": " 7 ",
        "underscores": "1_000",
        "open": "[1",
        "text": "plain",
        "empty": "",
    }

    def client(self, world, monkeypatch, **more):
        cls = self.MODULES[world.kind].ApolloClient
        if world.kind == "original":
            monkeypatch.setattr(cls, "_listener", lambda self: None)
        return cls("app", world.url, client_ip="127.0.0.1", namespaces=list(NAMESPACES), **more)

    def test_values_read_the_same(self, worlds, monkeypatch):
        original, twin = (read_all(self.client(world, monkeypatch)) for world in worlds)

        assert original == twin

    def test_texts_become_the_same_values(self, worlds, monkeypatch):
        def steps(world):
            world.release("application", self.TYPED)
            client = self.client(world, monkeypatch)
            return [(key, client.get_value(key, "default")) for key in self.TYPED]

        original, twin = map(steps, worlds)
        assert repr(original) == repr(twin)

    @pytest.mark.parametrize(
        ("namespace", "text"),
        [
            ("d.json", '{"a": {"b": [1]}}'),
            ("d.yml", "a:\n  b: 1\n"),
            ("d.xml", "<a><b>1</b></a>"),
            ("d.txt", "a: 1"),
        ],
    )
    def test_documents_are_parsed_the_same(self, worlds, monkeypatch, namespace, text):
        def steps(world):
            world.release(namespace, text)
            client = self.client(world, monkeypatch)
            client.get_from_remote(namespace)
            return [client.get_from_remote(namespace), client.all()["other"], client.all()["nested.yaml"]]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_keys_of_documents_are_read_the_same(self, worlds, monkeypatch):
        def steps(world):
            client = self.client(world, monkeypatch)
            keys = ("db", "db.host", "default", "content")
            return [client.get_value(key, "d", name) for key in keys for name in NAMESPACES]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_listeners_get_the_same_changes(self, worlds, monkeypatch):
        def steps(world):
            told = []
            cls = self.MODULES[world.kind].ApolloClient
            client = cls(
                "app",
                world.url,
                client_ip="127.0.0.1",
                namespaces=["application", "nested.yaml"],
                change_listener=lambda *change: told.append(change),
                cycle_time=0.05,
            )
            if world.kind == "original":
                wait_until(lambda: len(client._notification_map) == 2)
            world.release("application", SECOND)
            wait_until(lambda: len(told) >= 5)
            world.release("nested.yaml", CHANGED_YAML)
            wait_until(lambda: len(told) >= 7)
            client.stop()
            return sorted(told, key=repr)

        original, twin = map(steps, worlds)
        assert original == twin

    def test_a_namespace_that_cannot_be_read_fails_by_the_same_name(self, worlds, monkeypatch):
        original, twin = (
            outcome(lambda world=world: self.client(world, monkeypatch).get_from_remote("missing"))
            for world in worlds
        )

        assert ("ApolloClientReadRemoteError",) * 2 == (original.__name__, twin.__name__)
