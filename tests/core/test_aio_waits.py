"""Waiting calls of async code: concurrent, cancelled, and at the end of the process."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from capa_core import Runtime, aio
from capa_core.aio import _calls
from capa_core.errors import DeadlineError, ExhaustedError

AT_ONCE_S = 10.0
"""Far above the duration on a busy machine, far below that of the waits."""


@pytest.fixture
def runtime():
    with Runtime.in_memory() as runtime:
        yield runtime


@pytest.fixture(params=["memory", "sqlite", "redis"])
def each_engine(request, tmp_path):
    """A runtime on each engine that supports waits."""
    url = {"url": request.getfixturevalue("redis_url")} if request.param == "redis" else {}
    tables = {block: {"default": {"driver": request.param, **url}} for block in ("lock", "pubsub", "state")}
    with Runtime(tables, start=tmp_path, environ={}) as runtime:
        yield runtime


@pytest.fixture
def few_waits(monkeypatch):
    monkeypatch.setattr(_calls, "WAITS", 3)
    pools = _calls._Pools()
    monkeypatch.setattr(_calls, "_pools", pools)
    return pools


# Beside each other


@pytest.mark.parametrize("waits", [64, 200])
def test_a_call_does_not_wait_for_calls_that_wait(runtime, waits):
    async def main() -> float:
        state = aio.state(runtime=runtime)
        tasks = [asyncio.create_task(state.wait(f"never-{n}", timeout=30)) for n in range(waits)]
        await _until(lambda: _threads("capa-aio-wait") >= waits)
        started = time.monotonic()
        await state.get("k")
        took_s = time.monotonic() - started
        await _cancelled(*tasks)
        return took_s

    assert asyncio.run(main()) < AT_ONCE_S


def test_one_wait_too_many_is_refused_at_once(runtime, few_waits):
    async def main() -> None:
        state = aio.state(runtime=runtime)
        tasks = [asyncio.create_task(state.wait(f"never-{n}", timeout=30)) for n in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ExhaustedError, match="waiting already"):
            await state.wait("never", timeout=30)
        await _cancelled(*tasks)

    asyncio.run(main())


def test_a_wait_that_has_ended_makes_room(runtime, few_waits):
    async def main() -> None:
        state = aio.state(runtime=runtime)
        for _ in range(5):
            await asyncio.gather(*(state.wait("never", timeout=0) for _ in range(3)))

    asyncio.run(main())


def test_a_service_may_call_the_next_deeper_than_there_are_threads_for_calls(runtime):
    async def main() -> int:
        service = aio.Service("nested")
        aio.Runtime.over(runtime).host(service, name="nested")
        nested = aio.invocation("nested", runtime=runtime)

        async def count(call) -> str:
            left = int(call.data)
            await aio.state(runtime=runtime).get("k")
            return (await nested.invoke("count", str(left - 1))).body.decode() if left else "bottom"

        service.register("count", count)
        return (await nested.invoke("count", str(_calls.CALLS + 6))).body

    assert b"bottom" == asyncio.run(main())


def test_threads_end_when_there_is_nothing_to_do(runtime, monkeypatch):
    monkeypatch.setattr("capa_core.aio._threads.IDLE_S", 0.05)

    async def main() -> None:
        await asyncio.gather(*(aio.state(runtime=runtime).wait("never", timeout=0.01) for _ in range(5)))

    before = _threads("capa-aio-wait")
    asyncio.run(main())

    assert asyncio.run(_until(lambda: _threads("capa-aio-wait") <= before))


# Cancelled


def test_a_cancelled_wait_frees_its_thread(runtime, few_waits):
    async def main() -> bool:
        state = aio.state(runtime=runtime)
        for _ in range(2):
            tasks = [asyncio.create_task(state.wait(f"never-{n}", timeout=60)) for n in range(3)]
            await asyncio.sleep(0.05)
            await _cancelled(*tasks)
            await _until(lambda: few_waits.free_waits._value == 3)
        return True

    assert asyncio.run(main())


def test_a_message_received_after_the_cancellation_goes_to_the_next(each_engine):
    async def main() -> tuple[str, int]:
        pubsub = aio.pubsub(runtime=each_engine)
        async with pubsub.consumer("t", lease=600) as consumer:
            receiving = asyncio.create_task(consumer.receive(timeout=30))
            await asyncio.sleep(0.05)
            await _cancelled(receiving)
            await pubsub.publish("t", "mine")
            (message,) = await consumer.receive(timeout=10)
            return message.text, message.delivery_count

    assert ("mine", 1) == asyncio.run(main())


@pytest.mark.parametrize("turns", [0, 1], ids=["before the loop knows it", "before the task knows it"])
def test_a_result_that_meets_the_cancellation_is_taken_back(turns):
    taken_back = threading.Event()

    async def main() -> None:
        call = asyncio.create_task(_calls.in_thread(lambda: "lock", lambda _: taken_back.set()))
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - it blocks the loop while the thread ends
        for _ in range(turns):
            await asyncio.sleep(0)
        assert not call.done()
        await _cancelled(call)
        assert call.cancelled()

    asyncio.run(main())

    assert taken_back.wait(AT_ONCE_S)


def test_a_lock_acquired_after_the_cancellation_is_released(each_engine):
    async def main() -> bool:
        lock = aio.lock(runtime=each_engine).lock("k")
        async with lock:
            waiting = [asyncio.create_task(lock.acquire(timeout=30)) for _ in range(20)]
            await asyncio.sleep(0.1)
        for held in await _cancelled(*waiting):
            if not isinstance(held, asyncio.CancelledError):  # it was acquired before the cancellation
                await held.release()
        async with lock:
            return True

    assert asyncio.run(main())


def test_a_lock_whose_acquisition_was_under_way_is_released(runtime):
    locks = runtime.lock()
    at_the_engine, go_on = threading.Event(), threading.Event()
    acquire = locks._driver.acquire

    def slow(*arguments):
        at_the_engine.set()
        go_on.wait(10)
        return acquire(*arguments)

    async def main() -> None:
        locks._driver.acquire = slow
        acquiring = asyncio.create_task(aio.lock(runtime=runtime).lock("k").acquire())
        await _until(at_the_engine.is_set)
        await _cancelled(acquiring)
        locks._driver.acquire = acquire
        assert locks.try_lock("k", "probe") is not None
        locks.unlock("k", "probe")
        go_on.set()
        await _until(lambda: locks.lock("k").try_acquire() is not None)

    asyncio.run(main())


def test_a_call_that_has_not_begun_is_not_made():
    made: list[int] = []
    go_on = threading.Event()

    async def main() -> None:
        busy = [asyncio.create_task(_calls.in_thread(lambda: go_on.wait(10))) for _ in range(_calls.CALLS)]
        queued = asyncio.create_task(_calls.in_thread(lambda: made.append(1)))
        await asyncio.sleep(0.05)
        await _cancelled(queued)
        go_on.set()
        await asyncio.gather(*busy)
        await _calls.in_thread(lambda: None)

    asyncio.run(main())

    assert [] == made


def test_an_iterator_left_early_is_closed():
    closed = threading.Event()

    class Portable:
        def scan(self):
            try:
                yield from range(10)
            finally:
                closed.set()

    async def main() -> None:
        items = aio.Facade(Portable()).scan()
        async for _ in items:
            break
        await items.aclose()

    asyncio.run(main())

    assert closed.wait(AT_ONCE_S)


def test_a_wait_in_parts_is_woken_as_one(each_engine):
    """Waits of async code are made in parts, so that they can be cancelled; a change also wakes the second part."""

    async def main() -> bytes:
        state = aio.state(runtime=each_engine)
        waiting = asyncio.create_task(state.wait("k", timeout=20))
        await asyncio.sleep(1.3)
        await state.put("k", b"came", notify=True)
        return (await waiting).value

    assert b"came" == asyncio.run(main())


def test_a_timeout_of_asyncio_bounds_a_wait(runtime):
    async def main() -> None:
        async with asyncio.timeout(0.05):
            await aio.state(runtime=runtime).wait("never", timeout=60)

    started = time.monotonic()
    with pytest.raises(TimeoutError):
        asyncio.run(main())

    assert time.monotonic() - started < AT_ONCE_S


# Locks


def test_tasks_that_share_a_lock_hold_it_one_at_a_time(runtime):
    async def main() -> list[int]:
        lock = aio.lock(runtime=runtime).lock("k", timeout=30)
        inside, most = 0, []

        async def work() -> None:
            nonlocal inside
            async with lock as held:
                inside += 1
                most.append(inside)
                await asyncio.sleep(0.002)
                inside -= 1
                held.check()

        await asyncio.gather(*(work() for _ in range(10)))
        return most

    assert [1] * 10 == asyncio.run(main())


def test_a_lock_is_held_for_the_length_of_the_block(runtime):
    async def main() -> tuple[object, object]:
        locks = aio.lock(runtime=runtime)
        async with locks.lock("k").acquire(timeout=1):
            inside = await locks.lock("k").try_acquire()
        return inside, await locks.lock("k").try_acquire()

    inside, after = asyncio.run(main())

    assert inside is None
    assert after is not None


def test_a_lock_that_others_hold_raises_in_time(runtime):
    async def main() -> None:
        runtime.lock().try_lock("k", "another")
        async with aio.lock(runtime=runtime).lock("k", timeout=0.1):
            pass

    with pytest.raises(DeadlineError):
        asyncio.run(main())


# The end of the process

PROGRAM = """
import asyncio, sys, threading
from capa_core import Runtime, aio

async def main():
    runtime = aio.Runtime({{"state": {{"default": {{"driver": "{driver}"}}}}}}, start=".", environ={{}})
    state = runtime.state()
    waits = [asyncio.create_task(state.wait(f"never-{{n}}", timeout=300)) for n in range(5)]
    while sum(t.name.startswith("capa-aio-wait") for t in threading.enumerate()) < 5:
        await asyncio.sleep(0.01)
    print("waiting", flush=True)
    {then}

asyncio.run(main())
print("done", flush=True)
"""


@pytest.mark.parametrize("driver", ["memory", "sqlite"])
def test_a_cancelled_wait_does_not_hold_up_the_end(driver, tmp_path):
    program = PROGRAM.format(driver=driver, then="waits[0].cancel()")
    with _running(program, tmp_path) as process:
        assert "waiting" == process.stdout.readline().strip()
        started = time.monotonic()
        output, errors = process.stdout.read(), process.stderr.read()
        took_s = time.monotonic() - started

    assert (0, "done", "") == (process.returncode, output.strip(), errors)
    assert took_s < AT_ONCE_S


def test_an_interrupt_ends_a_program_that_waits(tmp_path):
    program = PROGRAM.format(driver="sqlite", then="await asyncio.gather(*waits)")
    with _running(program, tmp_path) as process:
        assert "waiting" == process.stdout.readline().strip()
        started = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        errors = process.stderr.read()
        took_s = time.monotonic() - started

    assert "KeyboardInterrupt" in errors
    assert took_s < AT_ONCE_S


def _running(program, folder):
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _threads(prefix):
    return sum(thread.name.startswith(f"{prefix}-") for thread in threading.enumerate())


async def _until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other threads may fulfil it
            await asyncio.sleep(0.01)
    return True


async def _cancelled(*tasks):
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)
