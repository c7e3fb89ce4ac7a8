"""The async facade: awaited results and errors, async iteration, and propagated context."""

import asyncio
import threading

import pytest

from capa_core import Runtime, Service, aio
from capa_core.call import deadline
from capa_core.errors import InvalidArgumentError


@pytest.fixture
def invocation():
    service = Service("greeter")
    service.register("thread", lambda _call: threading.current_thread().name)
    service.register("left", lambda _call: str(deadline.remaining_s(100)))
    with Runtime.in_memory() as runtime:
        runtime.host(service, name="greeter")
        yield aio.invocation("greeter", runtime=runtime)


def test_a_method_is_awaited_and_runs_in_a_thread(invocation):
    response = asyncio.run(_await(invocation.invoke("thread")))

    assert response.body.startswith(b"capa-aio")


def test_an_error_comes_out_of_the_await(invocation):
    with pytest.raises(InvalidArgumentError):
        asyncio.run(_await(invocation.request("GET", "no slash")))


def test_a_deadline_propagates_into_the_thread(invocation):
    async def main() -> float:
        with deadline.within(3):
            return float((await invocation.invoke("left")).body)

    assert 0 < asyncio.run(main()) <= 3


def test_many_calls_run_at_once():
    meeting = threading.Barrier(8, timeout=5)

    class Portable:
        def meet(self) -> int:
            return meeting.wait()

    async def main() -> list[int]:
        return await asyncio.gather(*(_await(aio.Facade(Portable()).meet()) for _ in range(8)))

    assert set(range(8)) == set(asyncio.run(main()))


def test_an_iterator_is_iterated_without_blocking():
    class Portable:
        def scan(self, prefix: str):
            yield from (prefix + "1", prefix + "2")

    async def main() -> list[str]:
        return [item async for item in aio.Facade(Portable()).scan("k")]

    assert ["k1", "k2"] == asyncio.run(main())


async def _await(awaitable):
    return await awaitable
