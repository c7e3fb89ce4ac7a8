"""The arrival of a task message in a worker, and the outcome of its delivery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery.exceptions import WorkerLostError
from kombu.exceptions import DecodeError

SETTLE_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one delivery of a message: removed, or, with *again*, delivered again after *delay_s*.

    Attributes:
        reason: The cause of another delivery or of the dead letter, if something failed.
        dead: No delivery can help: it becomes a dead letter.
    """

    again: bool = False
    delay_s: float = 0.0
    reason: str = ""
    dead: bool = False


DONE = Outcome()
AGAIN = Outcome(again=True)


def again_after(error: BaseException, delay_s: float = 0.0) -> Outcome:
    """Return the outcome of a delivery that *error* ended."""
    return Outcome(again=True, delay_s=delay_s, reason=_reason(error))


def dead_letter(error: BaseException) -> Outcome:
    """Return the outcome of a message that cannot be run for *error*."""
    if isinstance(error, DecodeError):  # it says less than its cause
        error = error.__cause__ or error
    return Outcome(dead=True, reason=_reason(error))


def _reason(error: BaseException) -> str:
    error = unwrapped(error)
    return f"{type(error).__name__}: {error}"


def unwrapped(error: BaseException) -> BaseException:
    """Return the task's own error, which Celery may have wrapped with its traceback."""
    return error.exc if isinstance(error, ExceptionWithTraceback) else error


class Arrival(NamedTuple):
    """A task message as it came from its queue.

    Attributes:
        id: The same in each delivery of the message.
    """

    data: bytes
    queue: str
    redelivered: bool
    id: str = ""


def worker_lost(status: str) -> Any:
    """Return the failure that Celery's request expects for a task whose process ended."""
    return lost(f"Worker exited prematurely: {status}.")


def lost(message: str) -> Any:
    """Return the failure of a task that its process did not outlive, or would not have."""
    try:
        raise WorkerLostError(message)  # noqa: TRY301 - Celery wants it with a traceback
    except WorkerLostError:
        return ExceptionInfo()
