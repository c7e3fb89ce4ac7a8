"""Twins of papollo, whose listeners are called as `f(namespace, old, new)`, also on an event loop."""

import asyncio

import papollo
import pytest
from apollo_twins import FIRST, SECOND, outcome

import capa_apollo.papollo
from capa_core.conformance._tolerance import wait_until

MODULES = {"original": papollo, "twin": capa_apollo.papollo}
READS = [
    (("a",), {}),
    (("missing",), {}),
    (("missing", 5), {}),
    (("empty", "default"), {}),
    (("a",), {"namespace": "other"}),
    (("a",), {"namespace": "other.properties"}),
    (("content",), {"namespace": "shipping.json"}),
]


def failure(call):
    """Return the name and the status of the error that *call* raises."""
    try:
        return call()
    except Exception as error:
        return type(error).__name__, error.status_code


@pytest.fixture
def client_of():
    clients = []

    def make(world, **more):
        client = MODULES[world.kind].Apollo(world.url, "app", **more)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
        client.close()


def test_values_read_the_same(worlds, client_of):
    def steps(world):
        client = client_of(world)
        return [client.get(*args, **named) for args, named in READS] + [dict(client.namespace("nested.yaml"))]

    original, twin = map(steps, worlds)
    assert original == twin


def test_a_namespace_is_read_only_and_of_one_moment_the_same(worlds, client_of):
    def steps(world):
        client = client_of(world)
        held = client.namespace()
        world.release("application", SECOND)
        client.refresh()
        wait_until(lambda: client.get("a") == "2")
        with pytest.raises(TypeError):
            held["a"] = "changed"
        return dict(held), dict(client.namespace())

    original, twin = map(steps, worlds)
    assert (FIRST, SECOND) == original == twin


@pytest.mark.parametrize("name", ["missing", "missing.json"])
def test_a_namespace_that_does_not_exist_fails_the_same(worlds, client_of, name):
    def steps(world):
        client = client_of(world)
        calls = [lambda: client.namespace(name), lambda: client.get("a", "d", namespace=name)]
        failed = [failure(one) for one in (*calls, lambda: client.refresh(name))]
        world.release(name, "{}" if name.endswith(".json") else {"a": "now"})
        return failed, dict(client.namespace(name))

    original, twin = map(steps, worlds)
    assert original == twin


def test_listeners_get_the_same_releases(worlds, client_of):
    def steps(world):
        told, others = [], []

        def raises(*_):
            raise RuntimeError("raised by a test")

        client = client_of(world, watch=True)
        client.add_listener(raises)

        @client.add_listener
        def changed(*release):
            told.append(release)

        client.add_listener(changed)
        client.add_listener(others.append)
        client.remove_listener(others.append)
        client.remove_listener(len)
        client.get("a", namespace="other")
        world.release("other", {"a": "changed", "b": "new"})
        wait_until(lambda: any(new.get("b") for _, _, new in told))
        world.release("other", {"b": "new"})
        wait_until(lambda: len(told[-1][2]) == 1)
        return [told[0][:2], told[-1][0], told[-1][2]], others

    original, twin = map(steps, worlds)
    assert original == twin


def test_the_async_client_reads_and_tells_the_same(worlds):
    async def steps(world):
        told, done = [], asyncio.Event()

        async def changed(namespace, old, new):
            await asyncio.sleep(0)
            told.append((namespace, dict(old), dict(new)))
            done.set()

        async with MODULES[world.kind].AsyncApollo(world.url, "app", watch=True) as client:
            seen = [await client.get(*args, **named) for args, named in READS]
            client.add_listener(lambda *_: 1 / 0)
            client.add_listener(changed)
            world.release("other", {"a": "changed"})
            await asyncio.wait_for(done.wait(), 30)
            await client.refresh()
            seen += [await client.get("a", namespace="other"), await client.get("a")]
            try:
                await client.namespace("missing")
            except MODULES[world.kind].ApolloError as error:
                seen.append(error.status_code)
        await client.aclose()
        return seen, told

    original, twin = (asyncio.run(steps(world)) for world in worlds)
    assert original == twin


@pytest.mark.parametrize("arguments", [(), ("http://x",), ("http://x", "app", "default")])
def test_wrong_arguments_fail_the_same(arguments):
    kinds = [outcome(lambda one=one: one.Apollo(*arguments)) for one in MODULES.values()]

    assert [TypeError, TypeError] == kinds


def test_async_listeners_are_told_one_release_after_the_other(configuration):
    configuration.save({"a": "0"}, application="app")

    async def steps():
        told, done = [], asyncio.Event()
        client = capa_apollo.papollo.AsyncApollo("http://x", "app")

        @client.add_listener
        async def changed(_namespace, old, new):
            told.append(("begin", old["a"], new["a"]))
            await asyncio.sleep(0.01)
            told.append(("end", old["a"], new["a"]))
            if new["a"] == "5":
                done.set()

        await client.get("a")
        for number in range(1, 6):
            await asyncio.to_thread(configuration.save, {"a": str(number)}, application="app")
        await asyncio.wait_for(done.wait(), 30)
        await client.aclose()
        return told

    told = asyncio.run(steps())

    assert [one[1:] for one in told[0::2]] == [one[1:] for one in told[1::2]]
    assert [one[2] for one in told[0::2]][:-1] == [one[1] for one in told[0::2]][1:]


def test_a_loop_that_is_closed_is_told_in_the_log(configuration, caplog):
    configuration.save({"a": "0"}, application="app")
    client = capa_apollo.papollo.AsyncApollo("http://x", "app")
    client.add_listener(print)
    asyncio.run(client.get("a"))
    configuration.save({"a": "1"}, application="app")

    wait_until(lambda: "no event loop runs the listeners of application" in caplog.text)
