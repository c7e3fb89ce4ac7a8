"""The count of a message's lost processes: how often a task begins that takes its process down each time."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from capa_celery._worker._losses import Losses
from capa_celery._worker._outcomes import AGAIN, DONE, Arrival, Outcome
from capa_core import Runtime, State

KILLED, ENDED = 9, 1


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    settings = {"driver": "sqlite", "folder": str(tmp_path)}
    with Runtime({"state": {"default": settings}}, environ={}) as runtime:
        yield runtime.state()


def killed() -> Outcome:
    os._exit(KILLED)


def arrival(*, redelivered: bool) -> Arrival:
    return Arrival(b"", "celery", redelivered, "id")


def times_begun(losses: Losses, *, redelivered: bool) -> int:
    """Deliver a message again and again, and return how often the work on it began."""
    begun = 0
    while begins(losses, redelivered=redelivered or begun > 0):
        begun += 1
    return begun


def begins(losses: Losses, *, redelivered: bool) -> bool:
    """Deliver a message to a process of its own that is lost with it, and return whether the work on it began."""
    pid = os.fork()
    if not pid:
        losses.guard(arrival(redelivered=redelivered), killed, lambda _failure: DONE)
        os._exit(ENDED)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == KILLED


@pytest.mark.parametrize("most", [1, 2, 3])
def test_a_task_begins_as_often_as_it_may_take_its_process_down(state: State, most: int) -> None:
    assert most == times_begun(Losses(lambda: state, most), redelivered=False)


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (2, 1), (3, 2)])
def test_one_that_waited_in_a_lost_worker_begins_at_most_once_less(
    state: State, most: int, expected: int
) -> None:
    assert expected == times_begun(Losses(lambda: state, most), redelivered=True)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_deliveries_that_the_process_outlived_do_not_count(state: State, most: int) -> None:
    losses = Losses(lambda: state, most)
    for redelivered in (False, True, True, True):
        losses.guard(arrival(redelivered=redelivered), lambda: AGAIN, lambda _failure: DONE)

    assert most == times_begun(losses, redelivered=True)
