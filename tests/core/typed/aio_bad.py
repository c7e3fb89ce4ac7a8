"""Async code that type checkers refuse, at each line that says so. Never run."""

from capa_core import aio


async def names() -> None:
    await aio.state().gett("k")  # error
    await aio.state()._guard  # error
    aio.stat("orders")  # error
    await aio.pubsub().publisch("t", b"")  # error
    aio.lock().acquire("k")  # error
    aio.Runtime.in_memory().states()  # error


async def arguments() -> None:
    await aio.state().get(42)  # error
    await aio.state().put("k")  # error
    await aio.state().put("k", "text")  # error
    await aio.state().put("k", b"", tll=3)  # error
    await aio.state().wait("k")  # error
    await aio.pubsub().publish("t", b"", priority="high")  # error
    aio.pubsub().subscribe("t", "not a function")  # error
    aio.lock().lock("k", lease="30 s")  # error
    await aio.configuration().get(group=1)  # error
    aio.Runtime(files="capa.toml")  # error
    aio.invocation()  # error


async def colours() -> None:
    orders: bytes | None = aio.state().get("k")  # error
    print(orders)
    for _ in aio.state().scan():  # error
        pass
    await aio.state().scan()  # error
    with aio.lock().lock("k"):  # error
        pass
    with aio.Runtime():  # error
        pass
    consumer = aio.pubsub().consumer("t")
    await consumer.receive()  # error
    async with aio.state().get("k"):  # error
        pass


async def results() -> str | None:
    number: int = await aio.state().put("k", b"")  # error
    print(number)
    return await aio.state().get("k")  # error
