"""Twins of apollo-config-client and apollocfg, whose listeners are called as `f(namespace, {key: {"old", "new"}})`."""

import asyncio
import threading

import apollo_config
import apollocfg
import pytest
from apollo_twins import FIRST, SECOND, outcome, read_all
from pydantic import BaseModel

import capa_apollo.apollo_config
import capa_apollo.apollocfg
from capa_core.conformance._tolerance import wait_until

NAMESPACES = ["application", "other", "shipping.json", "nested.yaml"]
CONFIG = {"original": apollo_config, "twin": capa_apollo.apollo_config}
CFG = {"original": apollocfg, "twin": capa_apollo.apollocfg}
BOTH = pytest.mark.parametrize("modules", [CONFIG, CFG], ids=["apollo_config", "apollocfg"])
STOP_S = 5


@pytest.fixture
def started():
    """Stop each client of an original at the end of its test, without waiting for its poll."""
    clients = []
    yield clients
    for client in clients:
        thread = threading.Thread(target=client.stop, daemon=True)
        thread.start()
    for client in clients:
        inner = getattr(client, "_client", client)
        for worker in (getattr(inner, "_thread", None), getattr(inner, "_refresh_thread", None)):
            if worker is not None:
                worker.join(STOP_S)


@pytest.fixture
def client_of(tmp_path, started):
    def make(modules, world, kind="ApolloClient", **more):
        own = {"cache_dir": str(tmp_path / world.kind)} if modules is CONFIG else {"refresh_interval": None}
        arguments = {
            "app_id": "app",
            "config_url": world.url,
            "namespaces": NAMESPACES,
            "poll_interval": 0.05,
        }
        client = getattr(modules[world.kind], kind)(**arguments | own | more)
        started.append(client)
        return client

    return make


def folded(told):
    """Return namespace → key → old and new text over all calls: in memory a release is written in two steps."""
    result = {}
    for namespace, changes in told:
        for key, change in changes.items():
            first = result.setdefault(namespace, {}).setdefault(key, dict(change))
            first["new"] = change["new"]
    return result


@BOTH
def test_values_read_the_same(worlds, client_of, modules):
    def steps(world):
        client = client_of(modules, world)
        client.start()
        return [
            *read_all(client),
            client.get_configs(),
            client.get_configs("nested.yaml"),
            client.get_configs("no"),
        ]

    original, twin = map(steps, worlds)
    assert original == twin


@BOTH
def test_a_manager_reads_the_same(worlds, client_of, modules):
    class Model(BaseModel):
        a: int
        flag: bool

    def steps(world):
        manager = client_of(modules, world, "create_config_manager")
        return [*read_all(manager), manager.get_configs("other"), manager.get_typed("application", Model)]

    original, twin = map(steps, worlds)
    assert original == twin


@BOTH
def test_a_copy_of_the_values_may_be_changed_the_same(worlds, client_of, modules):
    def steps(world):
        client = client_of(modules, world)
        client.start()
        client.get_configs()["a"] = "changed"
        return client.get_value("a")

    original, twin = map(steps, worlds)
    assert "1" == original == twin


@BOTH
def test_callbacks_get_the_same_changes(worlds, client_of, modules):
    def steps(world):
        told = []
        manager = client_of(modules, world, "ConfigManager")

        @manager.on_namespace_change("application")
        def changed(namespace, changes):
            told.append((namespace, changes))

        manager.on_namespace_change("other")(lambda *change: told.append(change))
        manager.start()
        world.release("application", SECOND)
        wait_until(lambda: manager.get_value("added") == "new")
        world.release("other", {})
        gone = [("application", "empty"), ("other", "a")]
        wait_until(
            lambda: all(folded(told).get(name, {}).get(key, {"new": 1})["new"] is None for name, key in gone)
        )
        return folded(told)

    original, twin = map(steps, worlds)
    assert original == twin


@BOTH
def test_a_callback_that_raises_keeps_no_other_from_being_called(worlds, client_of, modules):
    def steps(world):
        told = []

        def raises(namespace, changes):
            raise RuntimeError("raised by a test")

        client = client_of(modules, world)
        client.start()
        for callback in (raises, lambda *change: told.append(change)):
            client.register_callback(callback)
        world.release("other", {"a": "changed"})
        wait_until(lambda: told)
        return told

    original, twin = map(steps, worlds)
    assert [("other", {"a": {"old": "other", "new": "changed"}})] == original == twin


@BOTH
def test_the_environment_fills_in_the_same(worlds, modules, monkeypatch, tmp_path, started):
    def steps(world):
        monkeypatch.setenv("APOLLO_APP_ID", "app")
        monkeypatch.setenv("APOLLO_CONFIG_URL", world.url)
        monkeypatch.setenv("APOLLO_NAMESPACES", "application, other")
        monkeypatch.setenv("APOLLO_CACHE_DIR", str(tmp_path / world.kind))
        manager = modules[world.kind].create_config_manager_from_env()
        started.append(manager)
        return [manager.get_value("a"), manager.get_value("a", namespace="other")]

    original, twin = map(steps, worlds)
    assert ["1", "other"] == original == twin


class TestApollocfg:
    """The contracts that only apollocfg has."""

    def test_documents_and_merged_namespaces_read_the_same(self, worlds, client_of):
        def steps(world):
            client = client_of(CFG, world)
            client.start()
            calls = [
                lambda: client.get_content("nested.yaml"),
                lambda: client.get_content("application"),
                lambda: client.get_json("shipping.json"),
                lambda: client.get_json("nested.yaml").__name__,
                lambda: client.get_json("application").__name__,
                client.merged_configs,
                lambda: client.merged_configs(["other", "application"]),
            ]
            return [getattr(one, "__name__", one) for one in map(outcome, calls)]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_frozen_keys_stay_the_same(self, worlds, client_of):
        def steps(world):
            told = []
            client = client_of(
                CFG, world, frozen_keys=["a", "added"], static_fallback={"application": {"a": "s"}}
            )
            client.register_callback(lambda *change: told.append(change))
            client.start()
            world.release("application", SECOND)
            wait_until(lambda: client.get_value("flag") == "false")
            wait_until(lambda: "empty" in str(told) and "flag" in str(told))
            wait_until(lambda: client.get_value("empty") is None)
            seen = [client.get_value("a"), client.get_value("added", "d"), client.get_configs()]
            return [*seen, client.effective_configs(), folded(told)]

        original, twin = map(steps, worlds)
        assert original == twin

    @pytest.mark.parametrize(
        "arguments",
        [
            {"required_keys": ["no"], "require_resolved_keys": True},
            {"required_keys": ["a", "no"], "allow_fallback": False},
            {"required_keys": {"application": "a", "other": ["no"]}, "require_resolved_keys": True},
            {"required_keys": "empty", "require_resolved_keys": True},
            {"required_keys": ["no"], "static_fallback": {n: {"no": "s"} for n in NAMESPACES}},
            {"required_keys": ["no"]},
            {"namespaces": ["missing"], "allow_fallback": False},
            {"namespaces": ["missing"]},
            {"namespaces": ["missing", "application"], "allow_fallback": False},
            {"on_resolved": lambda namespace, configs: "no" if configs.get("a") == "other" else None},
            {"on_resolved": lambda namespace, configs: None},
        ],
    )
    def test_a_start_is_refused_the_same(self, worlds, client_of, arguments):
        def steps(world):
            client = client_of(CFG, world, **arguments)
            try:
                client.start()
            except Exception as error:
                return type(error).__name__, getattr(error, "missing", None), client.running
            return client.running, client.effective_configs(client.namespaces[0])

        original, twin = map(steps, worlds)
        assert original == twin

    def test_a_start_that_was_refused_may_be_tried_again(self, worlds, client_of):
        def steps(world):
            client = client_of(
                CFG, world, required_keys=["added"], frozen_keys=["added"], allow_fallback=False
            )
            refused = outcome(client.start).__name__
            for namespace in ("application", "other"):
                world.release(namespace, {"added": "now"})
            client.namespaces[:] = ["application", "other"]
            client.required_keys = {"application": {"added"}}
            wait_until(lambda: outcome(client.start) is None)
            return refused, client.get_value("added"), client.running

        original, twin = map(steps, worlds)
        assert original == twin

    @pytest.mark.parametrize(
        "arguments",
        [
            {"config_url": None},
            {"poll_timeout": 60},
            {"refresh_interval": 0.01},
            {"startup_timeout": 0},
            {"unknown": 1},
        ],
    )
    def test_wrong_arguments_fail_the_same(self, worlds, client_of, arguments):
        original, twin = (outcome(lambda world=world: client_of(CFG, world, **arguments)) for world in worlds)

        assert original is twin

    def test_async_callbacks_get_the_same_changes(self, worlds, client_of):
        async def steps(world):
            told, done = [], asyncio.Event()

            async def changed(namespace, changes):
                await asyncio.sleep(0)
                told.append((namespace, changes))
                done.set()

            client = client_of(CFG, world)
            loop = asyncio.get_running_loop()
            refused = [
                outcome(lambda: client.register_callback(changed)),
                outcome(lambda: client.register_async_callback(len, loop)),
            ]
            client.register_async_callback(changed, loop)
            await asyncio.to_thread(client.start)
            world.release("other", {"a": "changed"})
            await asyncio.wait_for(done.wait(), 30)
            return refused, told

        original, twin = (asyncio.run(steps(world)) for world in worlds)
        assert original == twin

    def test_the_positional_arguments_of_the_factory_mean_the_same(self, worlds, client_of):
        def steps(world):
            arguments = (
                world.url,
                None,
                "default",
                NAMESPACES,
                None,
                None,
                None,
                ["a"],
                ["a"],
                True,
                False,
                None,
                None,
            )
            manager = CFG[world.kind].create_config_manager("app", *arguments, False)
            inner = manager.client
            return inner.running, inner.frozen_keys, inner.required_keys, inner.config_url == world.url

        original, twin = map(steps, worlds)
        assert original == twin


def test_a_first_value_is_told_as_new(worlds, client_of):
    """By apollo-config-client at its start, where it finds no file of an earlier run."""

    def steps(world):
        told = []
        client = client_of(CONFIG, world, namespaces=["application"])
        client.register_callback(lambda *change: told.append(change))
        client.start()
        return told

    original, twin = map(steps, worlds)
    assert (
        [("application", {key: {"old": None, "new": text} for key, text in FIRST.items()})]
        == original
        == twin
    )
