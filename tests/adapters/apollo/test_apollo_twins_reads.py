"""Twins of apopy and aioapollo, which have no listeners."""

import asyncio

import aioapollo
import apopy
import pytest
from apollo_twins import FIRST, SECOND, outcome

import capa_apollo.aioapollo
import capa_apollo.apopy
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import NotFoundError


class TestApopy:
    """apopy, which reads when it is told to."""

    MODULES = {"original": apopy, "twin": capa_apollo.apopy}

    def client(self, world, **more):
        return self.MODULES[world.kind].Client(world.url, "app", ip="127.0.0.1", timeout=5, **more)

    def test_values_read_the_same(self, worlds):
        def steps(world):
            client, kinds = self.client(world), self.MODULES[world.kind].NamespaceType
            return [
                client.get("a"),
                client.get("missing"),
                client.get("missing", 5),
                client.get("empty", "d"),
                client.get("a", None, "other"),
                client.get("a", call_cache_api=False),
                client.get("content", namespace="shipping", namespace_type=kinds.JSON),
                client.read_namespace_with_cache("nested", kinds.YAML),
                client.cache,
            ]

        original, twin = map(steps, worlds)
        assert original == twin

    def test_a_whole_answer_reads_the_same(self, worlds):
        def steps(world):
            client, kinds = self.client(world), self.MODULES[world.kind].NamespaceType
            answers = [
                client.read_namespace_without_cache(),
                client.read_namespace_without_cache("shipping", kinds.JSON),
            ]
            assert all(answer.pop("releaseKey") for answer in answers)
            return answers

        original, twin = map(steps, worlds)
        assert original == twin

    def test_a_notification_updates_the_same(self, worlds):
        def steps(world):
            client = self.client(world)
            client.read_notification_and_update()
            first = dict(client.cache["application.properties"])
            world.release("application", SECOND)
            client.read_notification_and_update()
            wait_until(lambda: client.cache["application.properties"] == SECOND)
            return first, list(client.read_notification_cache)

        original, twin = map(steps, worlds)
        assert (FIRST, ["application"]) == original == twin

    def test_a_namespace_that_does_not_exist_is_an_exception(self, worlds):
        def steps(world):
            client = self.client(world)
            calls = [
                client.read_namespace_without_cache,
                client.update,
                lambda name: client.get("a", "d", name),
            ]
            return [outcome(lambda call=call: call("missing")) for call in calls]

        original, twin = map(steps, worlds)
        assert ([Exception] * 3, [NotFoundError] * 3) == (original, twin)

    def test_a_poll_without_a_change_ends(self, configuration):
        configuration.save({"a": "1"}, application="app")
        client = capa_apollo.apopy.Client("http://x", "app", timeout=0.05)
        for _ in range(2):
            client.read_notification_and_update()
        first = dict(client.read_notification_cache)
        client.read_notification_and_update()

        assert first == client.read_notification_cache


class TestAioapollo:
    """aioapollo, whose clients name an `ApolloConfig`."""

    MODULES = {"original": aioapollo, "twin": capa_apollo.aioapollo}

    @pytest.fixture(autouse=True)
    def _alone(self, monkeypatch):
        # A thread for each configuration, which sets the policy of event loops for the whole process.
        monkeypatch.setattr(aioapollo, "loopConfig", lambda: None)
        monkeypatch.setattr(aioapollo.ApolloConfig, "configDir", {})
        monkeypatch.setattr(aioapollo.ApolloClient, "_configCollection", {})
        for name in ("configDir", "_namespaces", "_held"):
            monkeypatch.setattr(capa_apollo.aioapollo.ApolloConfig, name, {})

    def test_values_read_the_same(self, worlds):
        async def steps(world):
            module = self.MODULES[world.kind]
            module.ApolloConfig("one", world.url, "app", "default")
            module.ApolloConfig(
                "two", world.url, "app", "default", "shipping.json", module.ConfigMode.CHECKING, "1.2.3.4"
            )
            module.ApolloConfig.startUp()
            one, two = module.ApolloClient("one"), module.ApolloClient("two")
            seen = [
                await one.get("a"),
                await one.get("missing"),
                await two.get("content"),
                await one.get("empty"),
            ]
            world.release("application", SECOND)
            return [*seen, await one.get("added", noCache=True), await one.get("added")]

        original, twin = (asyncio.run(steps(world)) for world in worlds)
        assert original == twin

    def test_addresses_and_times_are_the_same(self):
        def steps(module):
            module.ApolloConfig("one", "http://x:8080", "app", "blue", "ns", clientIp="1.2.3.4", periodTime=7)
            module.ApolloConfig("two", "http://x:8080", "app", "blue")
            kinds = module.ApolloConfig
            urls = [one(name) for one in (kinds.remoteUrl, kinds.remoteUrlNoCache) for name in ("one", "two")]
            return [*urls, kinds.getPeriodTime("one"), kinds.getPeriodTime("two"), list(kinds.configDir)]

        original, twin = map(steps, self.MODULES.values())
        assert original == twin

    def test_a_configuration_that_is_not_there_fails_the_same(self):
        kinds = [
            outcome(lambda one=one: asyncio.run(one.ApolloClient("no").get("a")))
            for one in self.MODULES.values()
        ]

        assert [KeyError, KeyError] == kinds

    def test_a_namespace_that_does_not_exist_is_an_exception(self, worlds):
        def steps(world):
            module = self.MODULES[world.kind]
            module.ApolloConfig("one", world.url, "app", "default", "missing")
            return outcome(lambda: asyncio.run(module.ApolloClient("one").get("a")))

        original, twin = map(steps, worlds)
        assert (AssertionError, NotFoundError) == (original, twin)
