"""The same steps on an original against an Apollo server, and on its twin on Capa; the results compared."""

import threading

import apollo.apollo_client
import py3_apollo.apollo_client
import pyapollos.apollo_client
import pytest
from apollo_twins import CHANGED_YAML, SECOND, outcome, read_all
from loguru import logger

import capa_apollo.py3_apollo.apollo_client
import capa_apollo.pyapollo.apollo_client
import capa_apollo.xhrg.apollo_client
from capa_core.conformance._tolerance import wait_until


class TestPyapollo:
    """filamoon's client."""

    MODULES = {"original": pyapollos.apollo_client, "twin": capa_apollo.pyapollo.apollo_client}

    def client(self, world, **more):
        cls = self.MODULES[world.kind].ApolloClient
        return cls("app", config_server_url=world.url, timeout=5, ip="127.0.0.1", **more)

    def start(self, client):
        # The original's thread is a daemon only if the thread that starts it is one.
        starter = threading.Thread(target=client.start, kwargs={"catch_signals": False}, daemon=True)
        starter.start()
        starter.join()

    def stop(self, client):
        client.stop()
        wait_until(lambda: client.stopped)

    def test_values_read_the_same(self, worlds):
        def steps(world):
            client = self.client(world)
            self.start(client)
            seen = read_all(client)
            self.stop(client)
            return seen

        original, twin = map(steps, worlds)
        assert original == twin

    def test_values_read_the_same_before_start(self, worlds):
        original, twin = (read_all(self.client(world)) for world in worlds)

        assert original == twin

    def test_a_release_is_seen_the_same(self, worlds):
        def steps(world):
            client = self.client(world)
            self.start(client)
            world.release("application", SECOND)
            wait_until(lambda: client.get_value("a") == "2")
            seen = read_all(client)
            self.stop(client)
            return [*seen, client.get_value("added")]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_after_stop_nothing_changes(self, worlds):
        def steps(world):
            client = self.client(world)
            self.start(client)
            self.stop(client)
            client.stop()
            world.release("application", SECOND)
            return [client.get_value("a"), client.stopped]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_a_cache_miss_may_be_fetched_the_same(self, worlds):
        def steps(world):
            client = self.client(world)
            client.get_value("a")
            world.release("application", SECOND)
            return [client.get_value("added", "d", auto_fetch_on_cache_miss=True), client.get_value("a")]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_attributes_are_the_same(self, worlds):
        def steps(world):
            client = self.client(world, cluster="blue")
            client.get_value("a")
            names = ("appId", "cluster", "timeout", "stopped", "ip", "_stopping")
            return [
                *(getattr(client, name) for name in names),
                client._cache["application"],
                set(client._notification_map),
            ]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_a_subclass_with_its_own_loop_has_it_run(self, worlds):
        def steps(world):
            seen = []

            class Loud(self.MODULES[world.kind].ApolloClient):
                def _long_poll(self):
                    super()._long_poll()
                    seen.append(self._cache["application"].get("a"))

            client = Loud("app", config_server_url=world.url, timeout=5, ip="127.0.0.1")
            self.start(client)
            world.release("application", SECOND)
            wait_until(lambda: seen and seen[-1] == "2")
            self.stop(client)
            return seen[0], seen[-1]

        original, twin = map(steps, worlds)
        assert original == twin

    @pytest.mark.parametrize("arguments", [{}, {"app_id": "a", "unknown": 1}])
    def test_wrong_arguments_fail_the_same(self, worlds, arguments):
        original, twin = (
            outcome(lambda cls=self.MODULES[world.kind].ApolloClient: cls(**arguments)) for world in worlds
        )

        assert (TypeError, TypeError) == (original, twin)


class TestApolloClientPython:
    """apollo-client-python, which grew from xhrg's client."""

    MODULES = {"original": apollo.apollo_client, "twin": capa_apollo.xhrg.apollo_client}

    def client(self, world, **more):
        arguments = {
            "enable_scheduled_updates": False,
            "enable_long_pool_updates": True,
            "enable_dotenv": False,
        }
        cls = self.MODULES[world.kind].ApolloClient
        client = cls(config_url=world.url, app_id="app", **arguments, **more)
        client._cycle_time = 0.05
        return client

    def test_values_read_the_same(self, worlds):
        namespaces = ["application", "other", "shipping.json"]
        original, twin = (read_all(self.client(world, namespaces=namespaces)) for world in worlds)

        assert original == twin

    def test_a_whole_namespace_reads_the_same(self, worlds):
        original, twin = (
            (client.get_config(), client.get_config("application"))
            for client in (self.client(world, namespaces=["application"]) for world in worlds)
        )

        assert original == twin

    def test_positional_arguments_mean_the_same(self, worlds):
        def steps(world):
            client = self.MODULES[world.kind].ApolloClient(world.url, "app", ["other"], enable_dotenv=False)
            return client.get_value("a", namespace="other")

        original, twin = map(steps, worlds)
        assert original == twin == "other"

    def test_listeners_get_the_same_changes(self, worlds):
        def steps(world):
            events = []
            client = self.client(world, namespaces=["application"], value_change_listeners=[events.append])
            client.start()
            world.release("application", SECOND)
            wait_until(lambda: len(events) >= 5)
            client.stop()
            return sorted(events, key=lambda event: (event["action"], event["key"]))

        original, twin = map(steps, worlds)
        assert original == twin

    def test_listeners_may_be_added_later(self, worlds):
        def steps(world):
            events = []
            client = self.client(world, namespaces=["other"], auto_update_enabled=True)
            client.add_value_change_listener(events.append)
            world.release("other", {"a": "changed"})
            wait_until(lambda: events)
            client.stop()
            return events

        original, twin = map(steps, worlds)
        assert original == twin

    def test_the_environment_fills_in_the_same(self, worlds, monkeypatch):
        def steps(world):
            monkeypatch.setenv("APOLLO_META_SERVER_ADDRESS", world.url)
            monkeypatch.setenv("APOLLO_APP_ID", "app")
            monkeypatch.setenv("APOLLO_NAMESPACES", "application,other")
            client = self.MODULES[world.kind].ApolloClient(enable_dotenv=False)
            return [client.get_value("a"), client.get_value("a", namespace="other")]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_an_address_that_is_missing_fails_the_same(self, worlds):
        original, twin = (
            outcome(lambda cls=self.MODULES[world.kind].ApolloClient: cls(enable_dotenv=False))
            for world in worlds
        )

        assert (RuntimeError, RuntimeError) == (original, twin)


class TestPy3Apollo:
    """py3-apollo-client, which grew from xhrg's client too."""

    MODULES = {"original": py3_apollo.apollo_client, "twin": capa_apollo.py3_apollo.apollo_client}
    NAMESPACES = {"application": -1, "other": -1, "nested.yaml": -1, "shipping.json": -1}

    @pytest.fixture(autouse=True)
    def _quiet(self, worlds, monkeypatch):
        # The original sets up loguru for the whole process.
        monkeypatch.setattr(logger, "remove", lambda *_: None)
        monkeypatch.setattr(logger, "add", lambda *_, **__: 0)
        logger.disable("py3_apollo")
        # Its heartbeat overwrites the values that a poll has just written, and may undo it.
        monkeypatch.setattr(py3_apollo.apollo_client.ApolloClient, "_heart_beat", lambda self: None)

    def client(self, world, tmp_path, **more):
        cls = self.MODULES[world.kind].ApolloClient
        arguments = {
            "client_ip": "127.0.0.1",
            "cache_path": str(tmp_path),
            "notification_map": self.NAMESPACES,
        }
        return cls("app", world.url, **arguments | more)

    def test_values_read_the_same(self, worlds, tmp_path):
        def steps(world):
            client = self.client(world, tmp_path, need_hot_update=False)
            seen = [
                *read_all(client),
                client.get_value_from_local("dotted.key"),
                client.get_value_from_local("no"),
            ]
            client.stop()
            return seen

        original, twin = map(steps, worlds)
        assert original == twin

    def test_yaml_is_read_by_dotted_keys_the_same(self, worlds, tmp_path):
        def steps(world):
            client = self.client(world, tmp_path, need_hot_update=False)
            keys = ("db.host", "db.ports", "db", "db.no", "no")
            seen = [client.get_value(key, "d", namespace="nested.yaml") for key in keys]
            client.stop()
            return seen

        original, twin = map(steps, worlds)
        assert original == twin

    def test_listeners_get_the_same_changes(self, worlds, tmp_path):
        def steps(world):
            told = []
            more = {
                "notification_map": {"application": -1},
                "change_listener": lambda *change: told.append(change),
            }
            client = self.client(world, tmp_path, need_hot_update=world.kind == "twin", **more)
            if world.kind == "original":
                # Its thread sleeps 6 s between two polls, and its first poll only learns the release's number.
                client.cycle_time = 0.05
                client._start_hot_update()
                wait_until(lambda: "notificationId" in client._cache["application"])
            world.release("application", SECOND)
            wait_until(lambda: len(told) >= 5)
            client.stop()
            return sorted(told)

        original, twin = map(steps, worlds)
        assert original == twin

    def test_listeners_get_the_same_changes_of_documents(self, worlds, tmp_path):
        def steps(world):
            told = []
            more = {
                "notification_map": {"nested.yaml": -1, "shipping.json": -1},
                "change_listener": lambda *change: told.append(change),
            }
            client = self.client(world, tmp_path, need_hot_update=world.kind == "twin", **more)
            if world.kind == "original":
                client.cycle_time = 0.05
                client._start_hot_update()
                wait_until(lambda: all("notificationId" in held for held in client._cache.values()))
            world.release("shipping.json", "{}")
            wait_until(lambda: told)
            world.release("nested.yaml", CHANGED_YAML)
            wait_until(lambda: len(told) >= 3)
            client.stop()
            return told[:1], sorted(told[1:], key=repr)

        original, twin = map(steps, worlds)
        assert original == twin

    def test_raw_reads_and_static_parts_are_the_same(self, worlds, tmp_path):
        def steps(world):
            client = self.client(world, tmp_path, need_hot_update=False)
            seen = [client.get_json_from_net("other"), client.get_json_from_net("nested.yaml")]
            seen += [client.signature("1", "/x", "s"), client.get_value_in_yaml({"a": {"b": 1}}, ["a", "b"])]
            client.stop()
            return seen

        original, twin = map(steps, worlds)
        assert original == twin

    def test_the_environment_wins_the_same(self, worlds, tmp_path, monkeypatch):
        def steps(world):
            monkeypatch.setenv("APOLLO_META", world.url)
            monkeypatch.setenv("APP_ID", "app")
            cls = self.MODULES[world.kind].ApolloClient
            client = cls(
                "ignored",
                "http://ignored",
                client_ip="127.0.0.1",
                cache_path=str(tmp_path),
                need_hot_update=False,
            )
            client.stop()
            return [client.app_id, client.get_value("a")]

        original, twin = map(steps, worlds)
        assert original == twin
