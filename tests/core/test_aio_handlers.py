"""Handlers of async code: their event loop, their context, and calls after the end of the loop."""

import asyncio
import gc
import threading
from contextvars import ContextVar

import pytest
import structlog

from capa_core import Runtime, Service, aio
from capa_core.aio._facade import wrapped
from capa_core.aio._handlers import LoopHandler
from capa_core.call import deadline
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import InvalidArgumentError, UnavailableError

WHO = ContextVar("who", default="nobody")


@pytest.fixture
def runtime():
    with Runtime.in_memory() as runtime:
        yield runtime


@pytest.fixture
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


# Whose loop


def test_a_message_handler_runs_on_the_loop_that_subscribed(runtime):
    async def main() -> bool:
        seen = asyncio.get_running_loop().create_future()

        async def handle(message) -> None:
            seen.set_result((asyncio.get_running_loop(), message.text))

        async with aio.pubsub(runtime=runtime).subscribe("t", handle):
            await aio.pubsub(runtime=runtime).publish("t", "hello")
            return await seen == (asyncio.get_running_loop(), "hello")

    assert asyncio.run(main())


def test_a_message_handler_may_await_calls_and_runs_beside_others(runtime):
    async def main() -> list[bytes]:
        state, pubsub = aio.state(runtime=runtime), aio.pubsub(runtime=runtime)
        meeting = asyncio.Barrier(4)
        done = asyncio.Semaphore(0)

        async def handle(message) -> None:
            async with asyncio.timeout(10):
                await meeting.wait()
            await state.put(message.text, b"handled")
            done.release()

        async with pubsub.subscribe("t", handle, concurrency=4):
            await pubsub.publish_many("t", ["a", "b", "c", "d"])
            for _ in range(4):
                await done.acquire()
        return [await state.get(key) for key in "abcd"]

    assert [b"handled"] * 4 == asyncio.run(main())


def test_a_configuration_listener_runs_on_the_loop_that_watches(runtime):
    async def main() -> bool:
        configuration = aio.configuration(runtime=runtime)
        seen = asyncio.get_running_loop().create_future()

        async def changed(event) -> None:
            seen.set_result((asyncio.get_running_loop(), event.changes["a"].new))

        async with configuration.watch(changed):
            await configuration.save({"a": "1"})
            return await seen == (asyncio.get_running_loop(), "1")

    assert asyncio.run(main())


def test_a_method_of_a_service_runs_on_the_loop_that_serves(runtime):
    async def main() -> bool:
        service = aio.Service("orders")
        loops = []

        @service.register("where")
        async def where(_call) -> str:
            loops.append(asyncio.get_running_loop())
            return "here"

        async with service.serve() as served:
            client = Runtime({"invocation": {"orders": {"url": served.url}}}, environ={})
            async with aio.Runtime.over(client) as remote:
                response = await remote.invocation("orders").invoke("where")
        return (response.body, loops) == (b"here", [asyncio.get_running_loop()])

    assert asyncio.run(main())


def test_a_method_may_answer_with_the_response_of_another_service(runtime):
    async def main() -> bytes:
        near, far = aio.Service("near"), aio.Service("far")
        for service in (near, far):
            aio.Runtime.over(runtime).host(service, name=service.name)
        far.register("answer", lambda _call: b"from afar")

        @near.register("ask")
        async def ask(_call):
            return await aio.invocation("far", runtime=runtime).invoke("answer")

        return (await aio.invocation("near", runtime=runtime).invoke("ask")).body

    assert b"from afar" == asyncio.run(main())


def test_methods_registered_before_there_is_a_loop_join_the_one_that_hosts(runtime):
    service = aio.Service("orders")
    loops = []

    @service.register("where")
    async def where(_call) -> None:
        loops.append(asyncio.get_running_loop())

    async def main() -> bool:
        aio.Runtime.over(runtime).host(service, name="orders")
        await aio.invocation("orders", runtime=runtime).invoke("where")
        return loops == [asyncio.get_running_loop()]

    assert asyncio.run(main())


def test_a_method_without_a_loop_answers_that_the_service_is_unavailable(runtime):
    service = aio.Service("orders")

    @service.register("where")
    async def where(_call) -> None: ...

    aio.Runtime.over(runtime).host(service, name="orders")

    assert 503 == runtime.invocation("orders").invoke("where").status


def test_a_callback_for_a_lost_lock_runs_on_the_loop_and_gets_the_lock_of_async_code(runtime):
    async def main() -> tuple[bool, type]:
        seen = asyncio.get_running_loop().create_future()

        async def lost(held) -> None:
            seen.set_result((held, type(held)))

        held = await aio.lock(runtime=runtime).lock("k", lease=0.3).acquire()
        await held.on_lost(lost)
        runtime.lock().unlock("k", held.owner)
        return await seen == (held, aio.Held)

    assert asyncio.run(main())


def test_a_plain_handler_keeps_its_thread(runtime):
    async def main() -> str:
        loop = asyncio.get_running_loop()
        seen = loop.create_future()

        def handle(_message) -> None:
            loop.call_soon_threadsafe(seen.set_result, threading.current_thread().name)

        async with aio.pubsub(runtime=runtime).subscribe("t", handle):
            await aio.pubsub(runtime=runtime).publish("t", b"")
            return await seen

    assert asyncio.run(main()).startswith("capa-pubsub")


def test_a_failed_handler_gets_its_message_again(runtime):
    async def main() -> list[int]:
        counts, again = [], asyncio.Event()

        async def handle(message) -> None:
            counts.append(message.delivery_count)
            if len(counts) == 1:
                raise TimeoutError("of the handler's own")
            again.set()

        async with aio.pubsub(runtime=runtime).subscribe("t", handle, retry_delay=0):
            await aio.pubsub(runtime=runtime).publish("t", b"")
            await again.wait()
        return counts

    assert [1, 2] == asyncio.run(main())


@pytest.mark.parametrize("give", ["watch", "follow", "on_lost", "register", "intake", "log"])
def test_an_async_handler_is_refused_where_there_is_no_loop_for_it(runtime, give):
    async def handle(_argument) -> None: ...

    calls = {
        "watch": lambda: runtime.configuration().watch(handle),
        "follow": lambda: runtime.configuration().follow(handle),
        "on_lost": lambda: runtime.lock().lock("k").acquire().on_lost(handle),
        "intake": lambda: runtime.pubsub().intake("t", on_lost=handle),
        "log": lambda: runtime.log().consumer("t", on_revoked=handle),
        "register": lambda: Service("orders").register("reserve", handle),
    }
    with pytest.raises(InvalidArgumentError, match="no event loop"):
        calls[give]()


def test_a_handler_that_takes_other_arguments_fails_its_caller(loop):
    async def handle() -> None: ...

    async def main() -> None:
        handler = LoopHandler(handle, wrapped)
        with pytest.raises(TypeError, match="argument"):
            await asyncio.to_thread(handler, "argument")

    loop.run_until_complete(main())


# In which context


def test_a_handler_runs_in_the_context_of_its_registration_without_the_deadline(runtime):
    async def main() -> tuple[str, float]:
        seen = asyncio.get_running_loop().create_future()

        async def handle(_message) -> None:
            seen.set_result((WHO.get(), deadline.remaining_s(100)))

        WHO.set("subscriber")
        with deadline.within(5):
            subscription = await aio.pubsub(runtime=runtime).subscribe("t", handle)
        WHO.set("another caller")
        async with subscription:
            await aio.pubsub(runtime=runtime).publish("t", b"")
            return await seen

    assert ("subscriber", 100) == asyncio.run(main())


def test_a_method_has_the_deadline_of_its_call(runtime):
    async def main() -> float:
        service = aio.Service("orders")

        @service.register("left")
        async def left(_call) -> str:
            return str(deadline.remaining_s(100))

        aio.Runtime.over(runtime).host(service, name="orders")
        return float((await aio.invocation("orders", runtime=runtime).invoke("left", timeout_s=3)).body)

    assert 0 < asyncio.run(main()) <= 3


# After the end of the loop


@pytest.mark.parametrize("end", ["closed", "stopped"])
def test_the_messages_of_an_ended_loop_go_to_other_consumers(runtime, loop, end):
    async def handle(_message) -> None: ...

    subscribing = aio.pubsub(runtime=runtime).subscribe("t", handle, group="g", lease=600)
    loop.run_until_complete(_await(subscribing))
    if end == "closed":
        loop.close()
    with structlog.testing.capture_logs() as logs:
        runtime.pubsub().publish("t", "mine")
        warning = asyncio.run(_first_warning(logs))
        with runtime.pubsub().consumer("t", "g") as other:
            (message,) = _received(other)

    assert "mine" == message.text
    assert "its subscription is closed" in warning


def test_a_handler_cancelled_with_its_loop_releases_its_message(runtime):
    async def main() -> None:
        running = asyncio.Event()

        async def handle(_message) -> None:
            running.set()
            await asyncio.sleep(600)

        await aio.pubsub(runtime=runtime).subscribe("t", handle, group="g", retry_delay=0, lease=600)
        await aio.pubsub(runtime=runtime).publish("t", "mine")
        await running.wait()

    asyncio.run(main())
    with runtime.pubsub().consumer("t", "g") as other:
        (message,) = _received(other)

    assert "mine" == message.text


@pytest.mark.parametrize("end", ["closed", "stopped", "run"])
def test_a_loop_that_ends_with_handlers_running_gives_one_warning(runtime, loop, caplog, end):
    ended = []

    async def main() -> None:
        meeting = asyncio.Barrier(4)

        async def handle(_message) -> None:
            try:
                await meeting.wait()
                await asyncio.sleep(600)
            finally:
                ended.append(True)

        pubsub = aio.pubsub(runtime=runtime)
        await pubsub.subscribe("t", handle, group="g", lease=600, retry_delay=600, concurrency=3)
        for _ in range(3):
            await pubsub.publish("t", "mine")
        await meeting.wait()

    if end == "run":
        asyncio.run(main())
    else:
        loop.run_until_complete(main())
    if end == "closed":
        loop.close()
    with runtime.pubsub().consumer("t", "g") as other:
        messages = [message for _ in range(3) for message in _received(other)]
    if end == "stopped":
        loop.run_until_complete(asyncio.sleep(0.01))
    gc.collect()

    assert [True] * 3 == ended
    assert ["mine"] * 3 == [message.text for message in messages]
    assert [True] == ["its subscription is closed" in line for line in caplog.messages]


def test_a_method_whose_loop_has_ended_answers_that_it_is_unavailable(runtime):
    service = aio.Service("orders")

    async def main() -> None:
        @service.register("reserve")
        async def reserve(_call) -> None: ...

        aio.Runtime.over(runtime).host(service, name="orders")

    asyncio.run(main())

    assert 503 == runtime.invocation("orders").invoke("reserve").status


def test_a_blocking_call_that_leads_back_to_its_own_loop_is_refused(loop):
    async def main() -> None:
        async def handle(_argument) -> None: ...

        handler = LoopHandler(handle, wrapped)
        with pytest.raises(InvalidArgumentError, match="Await the call"):
            handler("argument")

    loop.run_until_complete(main())


def test_the_handler_of_a_loop_that_pauses_runs_once_it_goes_on(loop):
    calls = []

    async def handle(argument) -> str:
        calls.append(argument)
        return "done"

    async def make() -> LoopHandler:
        return LoopHandler(handle, wrapped)

    handler = loop.run_until_complete(make())
    results = []
    thread = threading.Thread(target=lambda: results.append(handler("argument")))
    thread.start()
    loop.run_until_complete(asyncio.sleep(0.2))
    thread.join(5)

    assert (["argument"], ["done"]) == (calls, results)


def test_a_call_given_up_while_the_loop_was_stopped_is_not_made_later(loop):
    calls = []

    async def make() -> LoopHandler:
        async def handle(argument) -> None:
            calls.append(argument)

        return LoopHandler(handle, wrapped)

    handler = loop.run_until_complete(make())
    with pytest.raises(UnavailableError, match="has ended"):
        handler("argument")
    loop.run_until_complete(asyncio.sleep(0))

    assert [] == calls


async def _await(awaitable):
    return await awaitable


async def _first_warning(logs):
    async with asyncio.timeout(20):
        while not (events := [log["event"] for log in logs if log.get("block") == "aio"]):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return events[0]


def _received(consumer):
    """Return the next messages within 20 s: the other subscription must first detect that its loop has ended."""
    for _ in range(20):
        if messages := consumer.receive(timeout=1):
            return messages
    return []


# Jobs


def test_a_job_runs_on_the_loop_that_adds_it(runtime):
    async def main() -> bool:
        seen = asyncio.get_running_loop().create_future()

        async def work(run) -> None:
            if not seen.done():
                seen.set_result((asyncio.get_running_loop(), run.job))

        schedule = aio.schedule(runtime=runtime)
        schedule.start()
        async with schedule.add("k", work, every=0.1):
            return await seen == (asyncio.get_running_loop(), "k")

    assert asyncio.run(main())


def test_a_job_that_is_decorated_before_there_is_a_loop_joins_the_one_that_starts(runtime):
    seen, done = [], asyncio.Event()

    @aio.schedule(runtime=runtime).job("k", every=0.1)
    async def work(run) -> None:
        seen.append(asyncio.get_running_loop())
        done.set()

    async def main() -> bool:
        schedule = aio.schedule(runtime=runtime)
        schedule.start()
        await done.wait()
        await schedule.close()
        return seen[0] is asyncio.get_running_loop()

    assert asyncio.run(main())


def test_a_job_whose_loop_has_ended_is_left_to_other_processes(runtime):
    async def main() -> None:
        async def work(run) -> None:
            pass

        schedule = aio.schedule(runtime=runtime)
        schedule.start()
        await schedule.add("k", work, every=0.1)

    asyncio.run(main())

    wait_until(lambda: runtime.schedule()._leader.handler("k") is None)
