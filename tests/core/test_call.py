"""The path of every portable call: error translation, retries, budget, deadline."""

import time

import pytest

from capa_core.abilities import NATIVE
from capa_core.call import Guard, Policy, deadline
from capa_core.call.budget import RetryBudget
from capa_core.driver import Driver
from capa_core.errors import InvalidArgumentError, UnavailableError


class Fickle(Driver):
    """A driver that raises the given errors before it answers."""

    features = {"any": NATIVE}
    error_types = {OSError: UnavailableError, ValueError: InvalidArgumentError}

    def __init__(self, *errors: Exception) -> None:
        super().__init__(None)
        self.errors = list(errors)
        self.tries = 0

    def answer(self) -> str:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)
        return "here"

    def ping(self) -> str:
        return "ok"

    def close(self) -> None:
        return None


def guard(driver: Driver, **policy: float) -> Guard:
    return Guard("state", "orders", driver, Policy(**{"backoff_s": 0.001, **policy}))


def test_a_call_is_repeated_after_a_transient_error_if_that_is_safe():
    driver = Fickle(ConnectionError("one"), ConnectionError("two"))

    assert "here" == guard(driver).safe("get", driver.answer)
    assert 3 == driver.tries


def test_a_call_is_not_repeated_if_that_is_unsafe():
    driver = Fickle(ConnectionError("one"))
    with pytest.raises(UnavailableError):
        guard(driver).once("put", driver.answer)

    assert 1 == driver.tries


def test_an_error_that_a_retry_cannot_help_is_not_repeated():
    driver = Fickle(ValueError("no"), ValueError("no"))
    with pytest.raises(InvalidArgumentError):
        guard(driver).safe("get", driver.answer)

    assert 1 == driver.tries


def test_the_message_names_block_component_and_operation_and_chains_the_cause():
    cause = ConnectionError("refused")
    driver = Fickle(cause)
    with pytest.raises(UnavailableError, match="state 'orders': put failed: refused") as caught:
        guard(driver).once("put", driver.answer)

    assert cause is caught.value.__cause__


def test_a_bug_propagates_unchanged():
    driver = Fickle(KeyError("bug"))

    with pytest.raises(KeyError):
        guard(driver).safe("get", driver.answer)


def test_retries_are_counted():
    driver = Fickle(*[ConnectionError()] * 10)
    with pytest.raises(UnavailableError):
        guard(driver, retries=2).safe("get", driver.answer)

    assert 3 == driver.tries


def test_no_try_begins_that_could_not_end_before_the_deadline():
    driver = Fickle(*[ConnectionError()] * 10)
    with pytest.raises(UnavailableError):
        guard(driver, deadline_s=1.0, attempt_s=2.0).safe("get", driver.answer)

    assert 1 == driver.tries


def test_the_budget_stops_a_storm_of_retries_and_refills():
    budget = RetryBudget(burst=3, per_second=50)
    allowed = [budget.take() for _ in range(5)]
    time.sleep(0.05)

    assert [True, True, True, False, False] == allowed
    assert budget.take()


def test_a_nested_deadline_cannot_outlast_its_caller():
    with deadline.within(1), deadline.within(60):
        assert deadline.remaining_s(100) <= 1

    assert 100 == deadline.remaining_s(100)
