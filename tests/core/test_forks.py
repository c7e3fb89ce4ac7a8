"""Forks: a child can use every component of its parent, regardless of the parent's running threads."""

import asyncio
import faulthandler
import os
import queue
import subprocess
import sys
import threading
import traceback

import pytest

from capa_core import Runtime, Service, aio

CHILDREN = 5
# Python 3.12 and later warn of a fork with running threads, which these tests need.
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture
def runtime(tmp_path, redis_url):
    """Every block on real engines: SQLite and files as `default`, Redis as `redis`, a service over HTTP."""
    service = Service("shop")
    service.register("hello", lambda _call: "hello")
    redis = {"default": {}, "redis": {"driver": "redis", "url": redis_url}}
    served = service.serve()
    tree = {"state": redis, "pubsub": redis, "lock": redis, "invocation": {"shop": {"url": served.url}}}
    with Runtime({"embedded": True, **tree}, start=tmp_path, environ={}) as runtime:
        yield runtime
    served.close()


@pytest.fixture
def busy(runtime):
    """Threads that use all components continuously, including subscriptions and a watch."""
    stop = threading.Event()
    runtime.configuration().watch(lambda _event: None)
    for name in ("default", "redis"):
        runtime.pubsub(name).subscribe("parent", lambda _message: None)
        use(runtime, name, "parent")

    def work(name, topic):
        while not stop.is_set():
            use(runtime, name, topic)

    threads = [threading.Thread(target=work, args=(name, "parent")) for name in ("default", "redis", "redis")]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def use(runtime, name, topic):
    runtime.state(name).put(topic, b"v")
    runtime.pubsub(name).publish(topic, b"x")
    with runtime.lock(name).lock(f"{topic}-{threading.get_ident()}"):
        runtime.invocation("shop").invoke("hello")
    assert b"v" == runtime.state(name).get(topic)
    runtime.configuration().get()
    runtime.secrets().get_all()


def in_a_child(function):
    """Run *function* in a forked child and return its exit code."""
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(15, exit=True)
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.server("redis")
def test_a_child_uses_every_component_of_a_busy_parent(runtime, busy):
    def child():
        for name in ("default", "redis"):
            use(runtime, name, "child")

    assert [0] * CHILDREN == [in_a_child(child) for _ in range(CHILDREN)]


@pytest.mark.server("redis")
def test_a_child_subscribes_for_itself_and_closes_without_disturbing_its_parent(runtime, busy):
    def child():
        seen = threading.Event()
        runtime.pubsub().subscribe("own", lambda _message: seen.set(), group=str(os.getpid()))
        runtime.pubsub().publish("own", b"x")
        assert seen.wait(10)
        runtime.close()

    assert [0] * CHILDREN == [in_a_child(child) for _ in range(CHILDREN)]
    use(runtime, "redis", "parent")


@pytest.mark.parametrize(("way", "status"), [("return", 1), ("raise", 1), ("exit", 3)])
def test_a_child_that_comes_back_from_a_handler_is_ended(tmp_path, way, status):
    ended = queue.Queue()

    def fork(message):
        child = os.fork()
        if child:
            ended.put(os.waitpid(child, 0)[1])
        elif way == "raise":
            raise ValueError
        elif way == "exit":
            sys.exit(3)

    with Runtime({}, start=tmp_path, environ={}) as runtime:
        runtime.pubsub().subscribe("t", fork)
        runtime.pubsub().publish("t", b"x")

        assert status == os.waitstatus_to_exitcode(ended.get(timeout=30))


@pytest.mark.server("redis")
def test_messages_of_a_subscription_stay_with_the_parent(runtime):
    receivers, there = [], threading.Event()
    runtime.pubsub().subscribe("t", lambda _message: (receivers.append(os.getpid()), there.set()))
    code = in_a_child(lambda: runtime.pubsub().publish("t", b"x"))

    assert there.wait(10)
    assert (0, [os.getpid()]) == (code, receivers)


def test_a_child_awaits_after_its_parent_did():
    async def main(runtime):
        await aio.state(runtime=runtime).put("k", b"v")

    with Runtime.in_memory() as runtime:
        asyncio.run(main(runtime))

        assert 0 == in_a_child(lambda: asyncio.run(main(runtime)))


FIRST_USE = """
import faulthandler, os, sys, threading, time
from capa_core import Runtime

engines = {"default": {}, "redis": {"driver": "redis", "url": sys.argv[1]}}
settings = {"embedded": True, "state": engines, "pubsub": engines, "lock": engines}
runtime = Runtime(settings, environ={})

def use():
    for name in engines:
        runtime.state(name).put("k", b"v")
        with runtime.pubsub(name).subscribe("t", print, broadcast=True):
            pass
        with runtime.lock(name).lock(str(os.getpid())):
            pass
    runtime.configuration().get()
    runtime.secrets().get_all()

def child():
    faulthandler.dump_traceback_later(20, exit=True)
    use()
    os._exit(0)

first = threading.Thread(target=use)
first.start()
children = []
while first.is_alive() and len(children) < 15:
    children.append(os.fork())
    if children[-1] == 0:
        child()
    time.sleep(0.02)
print({os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children})
"""


@pytest.mark.server("redis")
def test_a_child_forked_during_the_first_use_of_a_component_uses_it_too(tmp_path, redis_url):
    command = [sys.executable, "-c", FIRST_USE, redis_url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=50)

    assert "{0}\n" == done.stdout, done.stderr
