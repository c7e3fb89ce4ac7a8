"""Intakes: leases are renewed while their messages are worked on, and no settlement is lost silently."""

import gc
import threading
import time
from types import SimpleNamespace

import pytest

from capa_core import supervision
from capa_core.blocks.pubsub import PubSub, _intake, _leases
from capa_core.call import Policy
from capa_core.components.memory.pubsub import MemoryConsumer, MemoryPubSub, MemoryPubSubSettings
from capa_core.conformance._pubsub.suite import bodies, eventually, receive
from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import ClosedError, InvalidArgumentError, PermissionDeniedError, UnavailableError

LEASE_S = 2.0
"""Long enough for a renewal that a busy machine delays."""
PAST_S = 2.5


class Refusing(MemoryPubSub):
    """A driver whose consumers raise the errors in *refusals*, by name of the call, and record accepted calls."""

    def __init__(self):
        super().__init__(MemoryPubSubSettings())
        self.refusals = {"ack": [], "nack": [], "release": [], "extend": [], "receive": [], "close": []}
        self.accepted = []
        self.extending, self.extended = threading.Event(), threading.Event()
        self.extended.set()

    def consume(self, topic, group, *, lease_s, temporary=False):
        return RefusingConsumer(super().consume(topic, group, lease_s=lease_s, temporary=temporary), self)


class RefusingConsumer(MemoryConsumer):
    def __init__(self, consumer, driver):
        self.__dict__.update(consumer.__dict__)
        self._driver = driver

    def _pass(self, name):
        if self._driver.refusals[name]:
            raise self._driver.refusals[name].pop(0)
        self._driver.accepted.append(name)

    def receive(self, max_messages, timeout_s):
        self._pass("receive")
        return super().receive(max_messages, timeout_s)

    def ack(self, receipts):
        self._pass("ack")
        super().ack(receipts)

    def nack(self, receipts, delay_s):
        self._pass("nack")
        super().nack(receipts, delay_s)

    def release(self, receipts):
        self._pass("release")
        super().release(receipts)

    def extend(self, receipts):
        self._driver.extending.set()
        self._driver.extended.wait(10)
        self._pass("extend")
        return super().extend(receipts)

    def close(self):
        self._pass("close")
        super().close()


@pytest.fixture
def driver():
    return Refusing()


@pytest.fixture
def pubsub(driver):
    pubsub = PubSub(driver, policy=Policy(retries=0))
    yield pubsub
    pubsub.close()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Restart failed threads, and repeat refused settlements, after a short time."""
    monkeypatch.setattr(supervision, "RESTART_S", 0.05)
    monkeypatch.setattr(_leases, "_FIRST_RETRY_S", 0.05)


def received(pubsub, **options):
    """Return an intake that holds one message."""
    intake = pubsub.intake("t", lease=LEASE_S, raw=True, **options)
    pubsub.publish("t", b"x", raw=True)
    (message,) = intake.receive()
    return intake, message


def log_count(caplog, words):
    return sum(words in record.getMessage() for record in caplog.records)


def test_a_held_message_is_hidden_from_others(pubsub):
    intake, message = received(pubsub)
    other = pubsub.consumer("t", raw=True)

    assert [] == other.receive(1, PAST_S)
    assert [message] == intake.held()
    assert (1, 0) == (intake.ack([message]), pubsub.depth("t"))


def test_a_message_that_is_not_worked_on_is_redelivered(pubsub, caplog):
    lost = []
    intake, message = received(pubsub, worked_on=lambda held: [], on_lost=lost.extend)
    again = receive(pubsub.consumer("t", raw=True), 1)

    assert [b"x"] == bodies(again)
    assert eventually(lambda: [message] == lost and 0 == len(intake))
    assert 0 == intake.ack([message])
    assert 1 == pubsub.depth("t")
    assert 1 == log_count(caplog, "the lease of a message was lost")


def test_a_holder_whose_worked_on_fails_keeps_nothing(pubsub, caplog):
    def fail(held):
        raise ValueError("broken holder")

    intake, _ = received(pubsub, worked_on=fail)

    assert [b"x"] == bodies(receive(pubsub.consumer("t", raw=True), 1))
    assert eventually(lambda: [] == intake.held())
    assert log_count(caplog, "broken holder")


def test_a_lost_lease_is_detected_before_an_acknowledgement(pubsub, driver, monkeypatch):
    lost = []
    intake, message = received(pubsub, on_lost=lost.extend)
    driver.refusals["extend"] = [UnavailableError("suspended")] * 9
    again = receive(pubsub.consumer("t", "default", raw=True), 1)
    driver.refusals["extend"].clear()
    driver.accepted.clear()
    intake.ack([message])

    assert [b"x"] == bodies(again)
    assert [message] == lost
    assert "ack" not in driver.accepted


def test_a_lease_that_is_renewed_late_is_settled(pubsub, driver, monkeypatch):
    intake, message = received(pubsub)
    now = _leases.boot_time()
    monkeypatch.setattr(_leases, "boot_time", lambda: now + PAST_S)

    assert 1 == intake.ack([message])
    assert ["extend", "ack"] == driver.accepted[-2:]
    assert 0 == pubsub.depth("t")


@pytest.mark.parametrize("settle", ["ack", "nack"])
def test_a_settlement_that_the_engine_does_not_accept_is_repeated(pubsub, driver, settle, caplog):
    intake, message = received(pubsub)
    driver.refusals[settle] = [UnavailableError("away")] * 3
    count = getattr(intake, settle)([message])
    unaccepted = len(intake)

    assert (1, 1) == (count, unaccepted)
    assert eventually(lambda: 0 == len(intake))
    assert settle in driver.accepted
    assert 3 == log_count(caplog, "trying again")


def test_a_settlement_counts_while_it_is_repeated(pubsub, driver, monkeypatch):
    intake, message = received(pubsub)
    driver.refusals["ack"] = [UnavailableError("away")]
    counts = []
    monkeypatch.setattr(RefusingConsumer, "_pass", noting(counts, intake))
    intake.ack([message])

    assert eventually(lambda: 0 == len(intake))
    assert [("ack", 0), ("ack", 1)] == [pair for pair in counts if pair[0] == "ack"]


def noting(counts, intake):
    passes = RefusingConsumer._pass

    def note(consumer, name):
        counts.append((name, len(intake)))
        passes(consumer, name)

    return note


def test_a_message_whose_settlement_was_not_accepted_stays_leased(pubsub, driver):
    intake, message = received(pubsub)
    driver.refusals["ack"] = [UnavailableError("away")] * 1000
    intake.ack([message])

    assert [] == pubsub.consumer("t", raw=True).receive(1, PAST_S)
    driver.refusals["ack"].clear()
    assert eventually(lambda: 0 == pubsub.depth("t"))


def test_a_message_whose_settlement_is_refused_is_redelivered(pubsub, driver, caplog):
    intake, message = received(pubsub)
    driver.refusals["ack"] = [PermissionDeniedError("no")]
    intake.ack([message])

    assert 0 == len(intake)
    assert [b"x"] == bodies(receive(pubsub.consumer("t", raw=True), 1))
    assert log_count(caplog, "they come again after their lease")


def test_a_renewal_does_not_overtake_a_rejection(pubsub, driver, monkeypatch):
    monkeypatch.setattr(_leases, "_LONGEST_RENEWAL_S", 0.05)
    driver.extended.clear()
    intake = pubsub.intake("t", lease=60, raw=True)
    pubsub.publish("t", b"x", raw=True)
    messages = intake.receive()
    driver.extending.wait(10)
    rejecting = threading.Thread(target=intake.nack, args=[messages])
    rejecting.start()
    rejecting.join(0.2)
    driver.extended.set()
    rejecting.join(10)

    assert [b"x"] == bodies(pubsub.consumer("t", raw=True).receive(1, PATIENCE_S))


def test_a_refused_settlement_does_not_delay_others(pubsub, driver):
    intake, first = received(pubsub)
    pubsub.publish("t", b"y", raw=True)
    (second,) = intake.receive()
    driver.refusals["nack"] = [UnavailableError("away")] * 1000
    driver.refusals["ack"] = [UnavailableError("away")]
    intake.nack([first], 0.1)
    intake.ack([second])

    assert eventually(lambda: 1 == pubsub.depth("t"))
    assert 1 == len(intake)


def test_a_message_is_settled_once(pubsub, driver):
    intake, message = received(pubsub)
    counts = [intake.release([message]), intake.ack([message]), intake.nack([message])]

    assert [1, 0, 0] == counts
    assert [b"x"] == bodies(receive(pubsub.consumer("t", raw=True), 1))


def test_closing_repeats_settlements_and_releases_held_messages(pubsub, driver):
    intake, _ = received(pubsub)
    pubsub.publish("t", b"y", raw=True)
    (other,) = intake.receive()
    driver.refusals["ack"] = [UnavailableError("away")]
    intake.ack([other])
    intake.close()

    assert [b"x"] == bodies(pubsub.consumer("t", raw=True).receive(10, 0))
    with pytest.raises(ClosedError):
        intake.receive()


def test_an_intake_without_references_holds_nothing(pubsub):
    intake, _message = received(pubsub)
    del intake
    gc.collect()

    assert [b"x"] == bodies(receive(pubsub.consumer("t", raw=True), 1))


def test_a_failing_renewer_is_logged_and_restarts(pubsub, caplog):
    failures = [SystemExit("killed")]

    def worked_on(held):
        if failures:
            raise failures.pop()
        return held

    intake, message = received(pubsub, worked_on=worked_on)

    assert [] == pubsub.consumer("t", raw=True).receive(1, PAST_S)
    assert [] == failures
    assert [message] == intake.held()
    assert log_count(caplog, "killed")


def test_a_failing_renewer_loses_no_short_lease(pubsub, monkeypatch):
    monkeypatch.setattr(supervision, "RESTART_S", 1.0)
    failures = [SystemExit("killed"), SystemExit("killed")]

    def worked_on(held):
        if failures:
            raise failures.pop()
        return held

    intake, message = received(pubsub, worked_on=worked_on)

    assert [] == pubsub.consumer("t", raw=True).receive(1, PAST_S)
    assert ([], [message]) == (failures, intake.held())


def test_an_exception_between_two_runs_does_not_end_a_thread():
    runs, logged = threading.Event(), []

    def stopping():
        if len(logged) == 1:
            raise SystemExit("killed between two runs")
        return False

    def work():
        if len(logged) < 2:
            raise ValueError("a bug")
        runs.set()

    class Log:
        def error(self, _event, *, traceback, **_fields):
            logged.append(traceback.splitlines()[-1])

    supervision.SupervisedThread("t", work, log=Log, stopping=stopping).start()

    assert runs.wait(5)
    assert ["ValueError: a bug", "SystemExit: killed between two runs"] == logged


def test_a_failing_logger_does_not_end_a_thread(monkeypatch):
    runs, reported = threading.Event(), []
    failures = [ValueError("a bug")]
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(str(args.exc_value)))

    def work():
        if failures:
            raise failures.pop()
        runs.set()

    supervision.SupervisedThread("t", work, log=lambda: None, stopping=lambda: False).start()

    assert runs.wait(5)
    assert ["'NoneType' object has no attribute 'error'"] == reported


def test_a_message_whose_lease_may_have_run_out_is_not_listed_as_held(pubsub, monkeypatch):
    intake, message = received(pubsub)
    now = _leases.boot_time()
    before = intake.held()
    monkeypatch.setattr(_leases, "boot_time", lambda: now + PAST_S)

    assert ([message], []) == (before, intake.held())


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(None, "is of type NoneType"), ("abc", "holds something of type str"), ([["abc"]], "of type list")],
)
def test_a_malformed_worked_on_is_logged_and_keeps_the_messages(pubsub, caplog, answer, reason):
    intake, message = received(pubsub, worked_on=lambda held: answer)

    assert [] == pubsub.consumer("t", raw=True).receive(1, PAST_S)
    assert [message] == intake.held()
    assert log_count(caplog, reason)


@pytest.mark.parametrize("settle", ["ack", "nack", "release"])
@pytest.mark.parametrize("wrong", [None, 3, "abc", [None]])
def test_only_messages_can_be_settled(pubsub, settle, wrong):
    intake, message = received(pubsub)
    wrong = [message, *wrong] if isinstance(wrong, list) else wrong

    with pytest.raises(InvalidArgumentError, match="messages (is|holds)"):
        getattr(intake, settle)(wrong)
    assert [message] == intake.held()


def test_one_message_must_be_given_in_a_list(pubsub):
    intake, message = received(pubsub)

    with pytest.raises(InvalidArgumentError, match="of type Message: give a list"):
        intake.ack(message)


def test_an_intake_starts_once(pubsub):
    intake = pubsub.intake("t", raw=True)
    intake.start(lambda: 1, print)

    with pytest.raises(InvalidArgumentError, match="started before"):
        intake.start(lambda: 1, print)


@pytest.mark.parametrize("join", ["intake", "consumer", "subscribe"])
def test_a_broadcast_has_no_group_of_another_name(pubsub, join):
    handler = [print] if join == "subscribe" else []

    with pytest.raises(InvalidArgumentError, match="Give one of them"):
        getattr(pubsub, join)("t", *handler, group="g", broadcast=True)


def test_a_failing_receiver_is_logged_and_restarts(pubsub, driver, caplog):
    driver.refusals["receive"] = [UnavailableError("away"), ValueError("a bug"), SystemExit("killed")]
    seen = threading.Event()
    intake = pubsub.intake("t", raw=True)
    intake.start(lambda: 1, lambda messages: seen.set())
    pubsub.publish("t", b"x", raw=True)

    assert seen.wait(5)
    assert log_count(caplog, "away")
    assert log_count(caplog, "a bug")
    assert log_count(caplog, "killed")


def test_messages_whose_callback_fails_are_redelivered(pubsub, monkeypatch, caplog):
    monkeypatch.setattr("capa_core.blocks.pubsub._intake._REFUSED_S", 0.05)
    counts = []

    def hand_over(messages):
        counts.extend(message.delivery_count for message in messages)
        if len(counts) == 1:
            raise ValueError("cannot take it")
        intake.ack(messages)

    intake = pubsub.intake("t", raw=True)
    intake.start(lambda: 10, hand_over)
    pubsub.publish("t", b"x", raw=True)

    assert eventually(lambda: [1, 2] == counts and 0 == pubsub.depth("t"))
    assert log_count(caplog, "cannot take it")


def test_an_intake_receives_no_more_than_its_free_slots(pubsub):
    taken = []
    intake = pubsub.intake("t", raw=True)
    pubsub.publish_many("t", [b"x"] * 10, raw=True)
    intake.start(lambda: 3 - len(intake), taken.extend)
    first = eventually(lambda: 3 == len(taken)) and (time.sleep(0.1), len(taken))[1]
    intake.ack(taken[:2])

    assert 3 == first
    assert eventually(lambda: 5 == len(taken))
    assert 3 == len(intake)


def test_a_stopped_intake_still_settles(pubsub):
    intake, message = received(pubsub)
    intake.stop()

    assert 1 == intake.ack([message])
    assert 0 == pubsub.depth("t")


def test_closing_ends_the_threads_of_an_intake(pubsub):
    before = set(threading.enumerate())
    intake, _ = received(pubsub)
    intake.start(lambda: 1, print)
    pubsub.close()

    assert eventually(lambda: set() == set(threading.enumerate()) - before)


def test_an_engine_that_was_away_is_asked_again_within_a_lease(driver, pubsub, monkeypatch):
    monkeypatch.setattr(_intake, "_FIRST_PAUSE_S", 0.8)
    driver.refusals["receive"] = [UnavailableError("away"), UnavailableError("away")]
    pauses, received = [], []
    with pubsub.intake("t", lease=1, raw=True) as intake:
        intake._log = SimpleNamespace(warning=lambda _, **more: pauses.append(more["pause_s"]))
        pubsub.publish("t", b"x", raw=True)
        intake.start(lambda: 1 - len(received), received.extend)

        assert eventually(lambda: received)
    assert [0.8, 1.0] == pauses
