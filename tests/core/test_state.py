"""The portable State beyond its driver: retries, error translation, compensation for limited drivers."""

import struct
import threading
import time

import pytest

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.state import Delete, Put, State, StateDriver, StateFeature, StateItem
from capa_core.call import Policy
from capa_core.components.memory.state import MemoryState, MemoryStateSettings
from capa_core.errors import (
    ConflictError,
    DataLossError,
    InvalidArgumentError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)

POLICY = Policy(backoff_s=0.001)


class BrokenLinkError(Exception):
    """An error of the engine."""


class FlakyState(MemoryState):
    """A driver that executes a call but loses its answer a number of times."""

    error_types = {BrokenLinkError: UnavailableError, KeyError: UnknownError}

    def __init__(self, failures, error=BrokenLinkError):
        super().__init__(MemoryStateSettings())
        self.failures = failures
        self.error = error
        self.calls = 0

    def _lose_answer(self, answer):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error("the answer got lost")
        return answer

    def get(self, key):
        return self._lose_answer(super().get(key))

    def put(self, write):
        return self._lose_answer(super().put(write))

    def delete(self, deletion):
        return self._lose_answer(super().delete(deletion))

    def increment(self, key, by, ttl_s):
        return self._lose_answer(super().increment(key, by, ttl_s))

    def transact(self, operations):
        return self._lose_answer(super().transact(operations))


SAFE = {
    "get": lambda state: state.get("k"),
    "put": lambda state: state.put("k", b"v"),
    "delete": lambda state: state.delete("k"),
    "transact": lambda state: state.transact([Put("k", b"v"), Delete("m")]),
}
UNSAFE = {
    "put if": lambda state: state.put("k", b"v", if_etag=""),
    "delete if": lambda state: state.delete("k", if_etag=""),
    "transact if": lambda state: state.transact([Put("k", b"v", if_etag=""), Delete("m")]),
    "increment": lambda state: state.increment("n"),
}


@pytest.mark.parametrize("call", SAFE.values(), ids=SAFE)
def test_what_may_happen_twice_is_repeated(call):
    driver = FlakyState(failures=2)
    call(State(driver, policy=POLICY))

    assert driver.calls > 2


@pytest.mark.parametrize("call", UNSAFE.values(), ids=UNSAFE)
def test_what_must_not_happen_twice_is_not_repeated(call):
    driver = FlakyState(failures=1)
    with pytest.raises(UnavailableError, match="the answer got lost"):
        call(State(driver, policy=POLICY))

    # A memory driver reads the stored value through `get`, hence the last call counts.
    assert driver.failures == driver.calls


def test_an_error_of_the_engine_is_named_and_chained():
    with pytest.raises(UnavailableError, match="state 'orders': get failed: the answer got lost") as caught:
        State(FlakyState(failures=9), name="orders", policy=POLICY).get("k")

    assert isinstance(caught.value.__cause__, BrokenLinkError)


def test_an_error_that_is_not_the_engine_s_propagates_unchanged():
    with pytest.raises(ZeroDivisionError):
        State(FlakyState(failures=9, error=ZeroDivisionError), policy=POLICY).get("k")


def test_an_error_in_the_middle_of_a_listing_is_named():
    class Failing(FlakyState):
        def scan(self, prefix):
            yield "first"
            raise BrokenLinkError("in the middle")

    keys = State(Failing(0)).scan()

    assert "first" == next(keys)
    with pytest.raises(UnavailableError, match="scan failed: in the middle"):
        next(keys)


def test_a_wait_that_is_repeated_keeps_its_deadline():
    class Failing(FlakyState):
        def wait(self, key, etag, timeout_s):
            given.append(timeout_s)
            time.sleep(0.2)
            return self._lose_answer(None)

    given = []
    assert State(Failing(1), policy=POLICY).wait("k", timeout=10) is None

    assert 2 == len(given)
    assert given[1] <= 10 - 0.2


def test_a_driver_without_etags_is_refused_at_opening():
    class Poor(MemoryState):
        features = {**MemoryState.features, StateFeature.ETAG: absent("too simple")}

    with pytest.raises(UnsupportedError, match="Poor has no etags"):
        State(Poor(MemoryStateSettings()))


def test_an_absent_ability_names_the_reason_and_the_next_step():
    class Poor(MemoryState):
        features = {**MemoryState.features, StateFeature.TRANSACTION: absent("too simple")}

    with pytest.raises(
        UnsupportedError, match="'orders' has no transaction: too simple. Choose another driver"
    ):
        State(Poor(MemoryStateSettings()), name="orders").transact([Put("k", b"v")])


def test_a_listing_is_refused_when_asked_for_and_not_when_read():
    class Poor(MemoryState):
        features = {**MemoryState.features, StateFeature.SCAN: absent("too simple")}

    with pytest.raises(UnsupportedError):
        State(Poor(MemoryStateSettings())).scan()


def test_keys_given_as_one_text_are_a_mistake():
    with pytest.raises(InvalidArgumentError, match="list of keys"):
        State(MemoryState(MemoryStateSettings())).get_many("abc")


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}], ids=["object", "nan", "set"])
def test_a_value_without_a_json_form_is_refused(value):
    with pytest.raises(InvalidArgumentError, match="'k', of type .*, has no JSON form"):
        State(MemoryState(MemoryStateSettings())).put_json("k", value)


def test_a_value_that_is_not_json_is_refused():
    state = State(MemoryState(MemoryStateSettings()))
    state.put("k", b"{")

    with pytest.raises(InvalidArgumentError, match="'k' does not hold JSON"):
        state.get_json("k")


# Compensation for limited drivers, beyond the conformance suite


class PoorState(StateDriver[MemoryStateSettings]):
    """A driver with etags only, whose values tests can inspect."""

    settings_type = MemoryStateSettings
    features = {
        **dict.fromkeys(StateFeature, BY_CORE),
        StateFeature.ETAG: NATIVE,
        **dict.fromkeys(
            (StateFeature.SCAN, StateFeature.TRANSACTION, StateFeature.SHARED, StateFeature.DURABLE),
            absent("-"),
        ),
    }

    def __init__(self):
        super().__init__(MemoryStateSettings())
        self.items = {}
        self.conflicts = 0
        self.number = 0

    def get(self, key):
        return self.items.get(key)

    def put(self, write):
        self.number += 1
        if self.conflicts:
            self.conflicts -= 1
            return None
        self.items[write.key] = StateItem(write.key, write.value, str(self.number))
        return str(self.number)

    def delete(self, deletion):
        return self.items.pop(deletion.key, None) is not None

    def ping(self):
        return "poor"

    def close(self):
        pass


def test_the_expiry_stands_in_eight_bytes_before_the_value():
    driver = PoorState()
    before_s = time.time()
    State(driver).put("k", b"v", ttl=60)
    after_s = time.time()
    (expires_ms,) = struct.unpack_from(">Q", driver.items["k"].value)

    assert before_s + 59 < expires_ms / 1000 < after_s + 61
    assert b"v" == driver.items["k"].value[8:]


def test_an_expired_value_is_removed_when_a_call_finds_it():
    driver = PoorState()
    state = State(driver)
    state.put("k", b"v", ttl=0.05)
    time.sleep(0.1)
    state.get("k")

    assert {} == driver.items


def test_a_value_that_other_programs_wrote_without_an_expiry_is_left_unchanged():
    driver = PoorState()
    driver.items["k"] = StateItem("k", b"short", "1")
    with pytest.raises(DataLossError, match="'k' was not written by Capa"):
        State(driver).get("k")

    assert b"short" == driver.items["k"].value


def test_adding_succeeds_after_conflicts_with_other_writers():
    driver = PoorState()
    driver.conflicts = 20

    assert 1 == State(driver).increment("n")


def test_adding_fails_after_too_many_conflicts(monkeypatch):
    monkeypatch.setattr("capa_core.blocks.state._compensation._ADD_TRIES", 10)
    driver = PoorState()
    driver.conflicts = 10**9
    with pytest.raises(UnavailableError, match="Nothing was added"):
        State(driver, policy=Policy(retries=0)).increment("n")


def test_conflicts_name_the_key_and_the_next_step():
    state = State(MemoryState(MemoryStateSettings()))
    state.put("k", b"v")
    with pytest.raises(ConflictError, match="'k' has a value already"):
        state.put("k", b"w", if_etag="")
    with pytest.raises(ConflictError, match="'k' does not have the etag 'old'.*Read it again"):
        state.put("k", b"w", if_etag="old")


def test_memory_is_swept_of_what_has_expired():
    driver = MemoryState(MemoryStateSettings())
    state = State(driver)
    state.put_many({f"k{number}": b"v" for number in range(900)}, ttl=0.01)
    time.sleep(0.05)
    state.put_many({f"m{number}": b"v" for number in range(200)})

    assert len(driver._stored) == 200


def test_a_waiting_thread_does_not_keep_others_from_the_store():
    state = State(MemoryState(MemoryStateSettings()))
    waiting = threading.Thread(target=state.wait, args=["k"], kwargs={"timeout": 5})
    waiting.start()
    for number in range(1000):
        state.put(f"other {number}", b"v")
    state.put("k", b"v")
    waiting.join(1)

    assert not waiting.is_alive()
