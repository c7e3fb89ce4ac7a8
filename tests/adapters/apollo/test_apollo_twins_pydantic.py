"""Twins of apollo-pydantic, whose settings are made again at each change."""

import asyncio
import os
from typing import Any

import apollo_pydantic
import pytest
from apollo_twins import FIRST, SHIPPING
from pydantic import BaseModel, Field

import capa_apollo.apollo_pydantic
from capa_core.conformance._tolerance import PATIENCE_S

MODULES = {"original": apollo_pydantic, "twin": capa_apollo.apollo_pydantic}
VALUES = {
    "size": "3",
    "name.first": "n",
    "nested.some": "[1, 2]",
    "nested.deep.er": "true",
    "items[1]": "b",
    "items[0]": "a",
    "listed": '["x"]',
    "c-dd": "alias",
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    """Forget the settings classes, and the variables of the environment that the original writes."""
    for module in MODULES.values():
        kind = module.ApolloSettings
        monkeypatch.setattr(kind, "__metadata__", module.ApolloSettingsMetadata())
        monkeypatch.setattr(kind, "__instances__", {})
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def settings_of(world, **config):
    module = MODULES[world.kind]

    class Nested(BaseModel):
        some: list[int]
        deep: dict[str, Any] = {}

    class Base(module.ApolloSettings):
        model_config = module.ApolloSettingsConfigDict(
            config_server=world.url, appid="app", cluster="default", **config
        )

    class Settings(Base):
        __namespace__ = "settings"

        size: int
        name__first: str = "default"
        nested: Nested
        items: list[str]
        listed: list[str]
        c_dd: str = Field(alias="c-dd")
        from_environment: str = "default"
        missing: float = 1.5

    return Settings


async def until(holds):
    """Wait until *holds* on the running loop."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():  # noqa: ASYNC110 - what it waits for sets no event
            await asyncio.sleep(0.01)


def restored(steps, worlds, monkeypatch):
    """Return the results of *steps* in both worlds, each with an environment of its own."""
    results = []
    for world in worlds:
        before = dict(os.environ)
        monkeypatch.setenv("APOLLO_from_environment", "environment")
        results.append(asyncio.run(steps(world)))
        os.environ.clear()
        os.environ.update(before)
    return results


def shown(settings):
    return {name: repr(value) for name, value in settings.model_dump().items()}


@pytest.mark.filterwarnings("ignore:Accessing the 'model_fields' attribute")  # by the original
def test_settings_are_made_the_same(worlds, monkeypatch):
    async def steps(world):
        world.release("settings", VALUES)
        kind = settings_of(world)
        await kind.start()
        seen = [shown(kind()), kind() is kind(), MODULES[world.kind].ApolloSettings.get("size")]
        await kind.stop()
        return seen

    original, twin = restored(steps, worlds, monkeypatch)
    assert original == twin


def test_a_change_is_seen_the_same(worlds, monkeypatch):
    async def steps(world):
        world.release("settings", VALUES)
        kind = settings_of(world)
        await kind.start()
        settings = kind()
        world.release("settings", VALUES | {"size": "4"})
        await until(lambda: settings.size == 4)
        world.release("settings", VALUES | {"size": "many"})
        world.release("settings", VALUES | {"size": "5"})
        await until(lambda: settings.size == 5)
        stopping = asyncio.create_task(kind.stop())
        world.release("settings", VALUES | {"size": "6"})
        await stopping
        return settings is kind(), settings.listed

    original, twin = restored(steps, worlds, monkeypatch)
    assert original == twin


def test_a_refresh_answers_the_same(worlds, monkeypatch):
    async def steps(world):
        world.release("settings", VALUES)
        kind = settings_of(world)
        seen = [await kind.refresh(), kind().size]
        world.release("settings", VALUES | {"size": "many"})
        seen += [await kind.refresh(), kind().size]
        return seen

    original, twin = restored(steps, worlds, monkeypatch)
    assert [True, 3, False, 3] == original == twin


def test_values_that_do_not_fit_fail_the_start_the_same(worlds, monkeypatch):
    async def steps(world):
        world.release("settings", VALUES | {"size": "many"})
        with pytest.raises(ExceptionGroup) as raised:
            await settings_of(world).start()
        return str(raised.value), [type(one).__name__ for one in raised.value.exceptions]

    original, twin = restored(steps, worlds, monkeypatch)
    assert original == twin


@pytest.mark.parametrize("left_out", ["config_server", "appid", "cluster"])
def test_a_class_without_a_place_fails_the_same(left_out):
    def steps(module):
        place = {"config_server": "http://x", "appid": "app", "cluster": "default", left_out: None}
        with pytest.raises(ValueError, match="must all be set in model_config") as raised:

            class Settings(module.ApolloSettings):
                __namespace__ = "application"
                model_config = module.ApolloSettingsConfigDict(**place)

        return type(raised.value)

    original, twin = map(steps, MODULES.values())
    assert original is twin


def test_the_client_reads_the_same(worlds):
    async def steps(world):
        client = MODULES[world.kind].ApolloClient(world.url, "app")
        async with client:
            whole = await client.uncached_config("application")
            key = whole.pop("releaseKey")
            seen = [whole, await client.uncached_config("application", release_key=key)]
            seen += [await client.cached_config("application"), await client.cached_config("shipping.json")]
        try:
            await client.uncached_config("missing")
        except ValueError as error:
            seen.append(type(error))
        return seen

    original, twin = (asyncio.run(steps(world)) for world in worlds)
    assert original == twin
    assert [FIRST, {"content": SHIPPING}] == twin[2:4]


def test_the_client_is_notified_the_same(worlds):
    async def steps(world):
        client = MODULES[world.kind].ApolloClient(world.url, "app")
        (first,) = await client.notification([{"namespaceName": "other", "notificationId": -1}])
        world.release("other", {"a": "changed"})
        known = {"namespaceName": "other", "notificationId": first["notificationId"]}
        (second,) = await client.notification([known])
        assert second["notificationId"] != first["notificationId"]
        return [first["namespaceName"], second["namespaceName"], await client.cached_config("other")]

    original, twin = (asyncio.run(steps(world)) for world in worlds)
    assert original == twin


def test_a_namespace_that_does_not_exist_fails_the_start(configuration):
    class World:
        kind, url = "twin", "http://x"

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(settings_of(World).start())

    assert "Apollo namespace 'settings' of app 'app'" in str(raised.value.exceptions[0])
    assert isinstance(raised.value.exceptions[0], ValueError)
