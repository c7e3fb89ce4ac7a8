"""Async code that type checkers accept, with the types that they must find. Never run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from typing import assert_type

from capa_core import aio
from capa_core.abilities import Feature, Support
from capa_core.blocks.configuration import ChangeEvent, ConfigurationItem, ConfigurationView
from capa_core.blocks.invocation import Call
from capa_core.blocks.pubsub import Message, PublishResult
from capa_core.blocks.secrets import Secret
from capa_core.blocks.state import StateItem


async def state() -> None:
    orders = aio.state("orders")
    assert_type(orders, aio.State)
    assert_type(await orders.put("42", b"paid", ttl=timedelta(hours=1)), str)
    assert_type(await orders.get("42"), bytes | None)
    assert_type(await orders.get_items(["42"]), dict[str, StateItem])
    assert_type(await orders.wait("42", timeout=3), StateItem | None)
    assert_type(orders.scan("4"), AsyncIterator[str])
    assert_type([key async for key in orders.scan()], list[str])
    assert_type(orders.features, Mapping[Feature, Support])
    assert_type(orders.name, str)


async def pubsub(runtime: aio.Runtime) -> None:
    events = runtime.pubsub()
    assert_type(await events.publish("t", {"id": 42}, delay=5), str)
    assert_type(await events.publish_many("t", [b"a"]), list[PublishResult])

    async def handle(message: Message) -> None:
        assert_type(message.data, bytes)

    async with events.subscribe("t", handle, concurrency=8) as subscription:
        assert_type(subscription, aio.Subscription)
        assert_type(subscription.topic, str)
    assert_type(await events.subscribe("t", print), aio.Subscription)
    async with events.consumer("t") as consumer:
        assert_type(consumer, aio.Consumer)
        messages = await consumer.receive(10, timeout=1)
        assert_type(messages, list[Message])
        assert_type(await consumer.extend(messages), list[bool])
        await consumer.ack(messages)
    async with events.intake("t") as intake:
        assert_type(await intake.receive(), list[Message])
        assert_type(intake.held(), list[Message])


async def lock() -> None:
    locks = aio.lock()
    lock = locks.lock("k", lease=30)
    assert_type(lock, aio.Lock)
    async with lock as held:
        assert_type(held, aio.Held)
        assert_type(held.token, int)
        held.check()
    async with lock.acquire(timeout=3) as held:
        await held.on_lost(lost)
    assert_type(await lock.try_acquire(), aio.Held | None)
    assert_type(await locks.try_lock("k", "me"), int | None)


async def lost(held: aio.Held) -> None:
    await held.release()


async def configuration() -> None:
    settings = aio.configuration()
    assert_type(await settings.get(["a"]), dict[str, ConfigurationItem])
    assert_type(await settings.view(), ConfigurationView)
    async with settings.watch(changed, keys=["a"]) as subscription:
        assert_type(subscription, aio.ConfigurationSubscription)
    await subscription.close()


async def changed(event: ChangeEvent) -> None:
    assert_type(event.new.version, str)


async def secrets() -> None:
    assert_type(await aio.secrets().get("database", field="password"), Secret)


async def invocation(runtime: aio.Runtime) -> None:
    service = aio.Service("orders")

    @service.register("reserve")
    async def reserve(call: Call) -> bytes:
        return call.data

    kept: Callable[[Call], Awaitable[bytes]] = reserve
    service.register("again", kept)
    runtime.host(service, name="orders")
    response = await aio.invocation("orders", runtime=runtime).invoke("reserve", {"sku": "A1"})
    assert_type(response, aio.InvocationResponse)
    assert_type(response.body, bytes)
    assert_type(response.header("Content-Type"), str)
    assert_type(response.stream, AsyncIterator[bytes] | None)
    async with service.serve(port=0) as served:
        assert_type(served.url, str)


async def runtime() -> None:
    async with aio.Runtime({"state": {}}, profile="test") as runtime:
        assert_type(runtime, aio.Runtime)
        assert_type(runtime.state("orders"), aio.State)
        await runtime.require({"state": ["ttl"]})
    assert_type(aio.Runtime.in_memory(), aio.Runtime)
    assert_type(aio.default_runtime(), aio.Runtime)
