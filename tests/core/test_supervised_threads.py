"""A failure in each kind of thread, an exit included: its cause is logged, and the work goes on."""

import asyncio
import threading
import time
from collections import deque
from functools import partial
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from capa_core import supervision
from capa_core.abilities import BY_CORE
from capa_core.aio._threads import Threads
from capa_core.blocks.configuration import (
    Configuration,
    ConfigurationFeature,
    ConfigurationItem,
    Scope,
    _events,
)
from capa_core.blocks.invocation import Service, _waitress
from capa_core.blocks.lock import Locks, _renewer
from capa_core.blocks.pubsub import PubSub, _intake, _subscription
from capa_core.components.memory.configuration import MemoryConfiguration, MemoryConfigurationSettings
from capa_core.components.memory.lock import MemoryLock, MemoryLockSettings
from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings
from capa_core.components.postgres._notifier import Notifier
from capa_core.components.sqlite import _wakeup
from capa_core.conformance._tolerance import PATIENCE_S, wait_until

FAILURES = pytest.mark.parametrize("failure", [SystemExit, KeyError], ids=lambda kind: kind.__name__)
CAUSE = "struck by a test"


class Striking:
    """Stands in for a function, and raises *failure* at its first call *when* it is the thread named so."""

    def __init__(self, function, failure, thread=""):
        self._function = function
        self._failure = failure
        self._thread = thread
        self.struck = False

    def __call__(self, *arguments, **options):
        if not self.struck and self._thread in threading.current_thread().name:
            self.struck = True
            raise self._failure(CAUSE)
        return self._function(*arguments, **options)

    def __get__(self, instance, owner):
        return partial(self, instance)


@pytest.fixture(autouse=True)
def strike(monkeypatch):
    """Replace a function by one that fails once, with the thread whose failure it is."""
    monkeypatch.setattr(supervision, "RESTART_S", 0.05)
    made = []

    def strike(owner, name, failure, thread=""):
        made.append(Striking(getattr(owner, name), failure, thread))
        monkeypatch.setattr(owner, name, made[-1])

    yield strike
    assert [True] * len(made) == [each.struck for each in made], "a failure never happened"


def causes(caplog):
    """Return how many records of Capa's logs have the cause in them.

    The collector may reach a task of an earlier test now, of which asyncio then logs that nobody asked for its end.
    """
    records = [record for record in caplog.records if record.name.startswith("capa")]
    return sum(CAUSE in record.getMessage() + (record.exc_text or "") for record in records)


def test_the_work_goes_on_though_neither_the_log_nor_the_standard_error_takes_its_failure(monkeypatch):
    """As when the reader of both has ended, such as a shipper of logs."""
    runs, ended = [], threading.Event()

    def broken(*_):
        raise BrokenPipeError(CAUSE)

    def work():
        runs.append(True)
        if len(runs) < 3:
            raise KeyError(CAUSE)
        ended.set()

    monkeypatch.setattr(threading, "excepthook", broken)
    thread = supervision.SupervisedThread("broken", work, log=broken, stopping=ended.is_set)
    thread.start()

    assert ended.wait(PATIENCE_S)
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


# Locks


@FAILURES
@pytest.mark.parametrize(
    ("owner", "name", "thread"),
    [(_renewer, "now", "capa-lock-renewer"), (MemoryLock, "renew", "capa-lock-renewal")],
    ids=["renewer", "renewal"],
)
def test_a_lock_is_still_renewed(owner, name, thread, failure, strike, caplog):
    strike(owner, name, failure, thread)
    with Locks(MemoryLock(MemoryLockSettings())).lock("k", lease=2) as held:
        time.sleep(2.5)

        assert not held.lost.is_set()
    assert 1 == causes(caplog)


def test_a_renewal_without_a_thread_is_tried_again(monkeypatch, strike):
    strike(_renewer.LoggedThread, "start", RuntimeError, "capa-lock-renewer")
    with Locks(MemoryLock(MemoryLockSettings())).lock("k", lease=2) as held:
        time.sleep(2.5)

        assert not held.lost.is_set()


@FAILURES
def test_the_other_callbacks_of_a_lost_lock_are_called(failure, caplog):
    driver, told = MemoryLock(MemoryLockSettings()), threading.Event()
    held = Locks(driver).lock("k", lease=0.3).acquire()

    def fail(_held):
        raise failure(CAUSE)

    held.on_lost(fail)
    held.on_lost(lambda _held: told.set())
    driver.release("k", held.owner)

    assert told.wait(5)
    assert 1 == causes(caplog)


# Configuration


class PolledConfiguration(MemoryConfiguration):
    """A driver that cannot watch."""

    features = {**MemoryConfiguration.features, ConfigurationFeature.WATCH: BY_CORE}


@pytest.fixture
def driver(request):
    return getattr(request, "param", MemoryConfiguration)(MemoryConfigurationSettings())


@pytest.fixture
def configuration(driver):
    with Configuration(driver, "test", poll_s=0.05) as portable:
        portable.save({"a": "0"})
        yield portable


def put(driver, value):
    """Write as another process does: the component learns of it by its watch."""
    driver.save(Scope(), [ConfigurationItem("a", value)])


@FAILURES
@pytest.mark.parametrize(
    ("driver", "call"),
    [(MemoryConfiguration, "watch"), (MemoryConfiguration, "get"), (PolledConfiguration, "version")],
    indirect=["driver"],
    ids=["watch", "read", "poll"],
)
def test_a_view_still_follows_its_engine(call, failure, driver, configuration, strike, caplog):
    view = configuration.view()
    strike(MemoryConfiguration, call, failure, "capa-configuration-test")
    put(driver, "1")
    wait_until(lambda: view["a"] == "1")
    put(driver, "2")
    wait_until(lambda: view["a"] == "2")

    assert 1 == causes(caplog)


@FAILURES
def test_later_changes_reach_the_listeners(failure, driver, configuration, strike, caplog):
    seen = []
    configuration.watch(lambda event: seen.append(event.changes["a"].new))
    strike(_events.Subscription, "wants", failure, "capa-configuration-test-listeners")
    put(driver, "1")
    wait_until(lambda: causes(caplog))
    put(driver, "2")
    wait_until(lambda: seen)

    assert ["2"] == seen


@FAILURES
def test_a_change_reaches_the_listeners_after_one_that_fails(failure, driver, configuration, caplog):
    seen = []

    def fail(_event):
        raise failure(CAUSE)

    configuration.watch(fail)
    configuration.watch(lambda event: seen.append(event.changes["a"].new))
    for value in ("1", "2"):
        put(driver, value)
        wait_until(lambda value=value: seen[-1:] == [value])

    assert (["1", "2"], 2) == (seen, causes(caplog))


@FAILURES
def test_a_change_reaches_followers_and_listeners_after_a_follower_that_fails(
    failure, driver, configuration, caplog
):
    followed, seen = [], []
    failing = []

    def fail(_view):
        if failing:
            raise failure(CAUSE)

    configuration.follow(fail)
    configuration.follow(lambda view: followed.append(view["a"]))
    configuration.watch(lambda event: seen.append(event.changes["a"].new))
    failing.append(True)
    put(driver, "1")
    wait_until(lambda: seen)

    assert (["0", "1"], ["1"]) == (followed, seen)
    assert 1 == causes(caplog)


# Pub/sub


@pytest.fixture
def pubsub():
    with PubSub(MemoryPubSub(MemoryPubSubSettings())) as portable:
        yield portable


@FAILURES
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (_intake.Intake, "_wait_for_room"),
        (_subscription.Subscription, "_next"),
        (_subscription.Subscription, "_settle_outcomes"),
    ],
    ids=["intake", "handler", "settler"],
)
def test_a_subscription_still_serves(owner, name, failure, pubsub, strike, caplog):
    strike(owner, name, failure)
    handled = []
    with pubsub.subscribe("t", lambda message: handled.append(message.data)):
        pubsub.publish("t", b"1")
        wait_until(lambda: handled)
        wait_until(lambda: pubsub.inspect("t").depth == 0)

    assert ([b"1"], 1) == (handled, causes(caplog))


@FAILURES
def test_an_async_handler_that_fails_is_called_again(failure, pubsub, caplog):
    handled, failing = [], [True]

    async def handle(message):
        if failing:
            failing.clear()
            raise failure(CAUSE)
        handled.append(message.data)

    with pubsub.subscribe("t", handle, retry_delay=0.01):
        pubsub.publish("t", b"1")
        wait_until(lambda: handled)

    assert ([b"1"], 1) == (handled, causes(caplog))


def test_an_exit_of_a_task_leaves_the_other_async_handlers_running(pubsub, caplog):
    handled, struck = [], asyncio.Event()

    async def leave():
        struck.set()
        raise SystemExit(CAUSE)

    async def handle(message):
        if message.data == b"leaves":
            await asyncio.wait([asyncio.create_task(leave())])
        await struck.wait()
        handled.append(message.data)

    with pubsub.subscribe("t", handle, concurrency=2):
        for name in (b"waits", b"leaves", b"comes later"):
            pubsub.publish("t", name)
        wait_until(lambda: len(handled) == 3)

    assert ({b"waits", b"leaves", b"comes later"}, 1) == (set(handled), causes(caplog))


# Services


def fail_with(failure, _call):
    raise failure(CAUSE)


@pytest.fixture
def served():
    service = Service("shop")
    service.register("hello", lambda _call: "hello")
    for failure in (SystemExit, KeyError):
        service.register(failure.__name__, partial(fail_with, failure))
    with service.serve(threads=2) as served:
        yield served


def asked(served, path="/hello"):
    """Return the status of one request on a connection of its own."""
    address = urlsplit(served.url)
    connection = HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@FAILURES
@pytest.mark.parametrize(
    ("owner", "name"),
    [(_waitress.Server, "maintenance"), (_waitress.Channel, "readable")],
    ids=["listener", "connection"],
)
def test_a_service_still_answers(owner, name, failure, served, strike, caplog):
    strike(owner, name, failure, "capa-serve-http")
    statuses = [asked(served) for _ in range(3)]
    wait_until(lambda: causes(caplog))

    assert ([200] * 3, 1) == (statuses, causes(caplog))


@FAILURES
def test_a_service_answers_a_request_whose_thread_failed(failure, served, strike, monkeypatch, caplog):
    queue = type("Queue", (deque,), {"popleft": deque.popleft})
    strike(queue, "popleft", failure, "capa-serve-")
    monkeypatch.setattr(served._server.task_dispatcher, "queue", queue())
    status = asked(served)
    wait_until(lambda: causes(caplog))

    assert (200, 1) == (status, causes(caplog))


@FAILURES
def test_a_method_that_fails_answers_with_an_error(failure, served, caplog):
    assert (500, 200) == (asked(served, f"/{failure.__name__}"), asked(served))
    assert 1 == causes(caplog)


def test_a_connection_that_cannot_be_accepted_is_closed_and_logged(served, strike, caplog):
    strike(_waitress.HTTPChannel, "__init__", MemoryError, "capa-serve-http")
    with pytest.raises(ConnectionError):
        asked(served)

    assert (200, 1) == (asked(served), causes(caplog))


# SQLite


@FAILURES
def test_signals_of_other_processes_still_wake(failure, tmp_path, strike, caplog):
    strike(_wakeup.os, "read", failure, "capa-sqlite-wakeup")
    here, there = _wakeup.Wakeups(tmp_path), _wakeup.Wakeups(tmp_path)
    with here.listen("a") as listener:
        wait_until(lambda: causes(caplog))
        there.signal("a")

        assert listener.wait(5)
    here.close()


# PostgreSQL


class Told:
    """A database that keeps the notices, and answers only while it is free."""

    def __init__(self):
        self.notices, self.free = [], threading.Event()
        self.free.set()

    def notify(self, channel, subjects):
        self.free.wait(10)
        self.notices.append((channel, sorted(subjects)))
        return True


@FAILURES
def test_notices_are_sent_after_a_failure(failure, strike, caplog):
    database = Told()
    strike(database, "notify", failure, "capa-postgres-notifier")
    notifier = Notifier(database, "c")
    notifier.send("lost")
    wait_until(lambda: causes(caplog))
    notifier.send("a")
    wait_until(lambda: database.notices)
    notifier.close(10)

    assert [("c", ["a"])] == database.notices


def test_notices_meanwhile_are_one_and_the_last_ones_are_sent_at_the_end():
    database = Told()
    database.free.clear()
    notifier = Notifier(database, "c")
    for subject in "aab" * 100:
        notifier.send(subject)
    threading.Timer(0.1, database.free.set).start()
    notifier.close(10)

    assert len(database.notices) <= 2
    assert {"a", "b"} == {subject for _, subjects in database.notices for subject in subjects}


# Async code


@FAILURES
def test_a_thread_for_calls_runs_the_next_one(failure, caplog):
    threads, ran = Threads("calls", 1), threading.Event()

    def fail():
        raise failure(CAUSE)

    threads.run(fail)
    threads.run(ran.set)

    assert ran.wait(5)
    assert 1 == causes(caplog)
