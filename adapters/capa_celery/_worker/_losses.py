"""Limit of the deliveries of a task that takes its process down, in whatever pool it runs."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from capa_celery._worker._outcomes import Arrival, Outcome, dead_letter, lost
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_core import State

logger = named_logger("celery.capa.worker")

KEPT_S = 7 * 86_400.0
"""Seconds for which a count is kept: longer than any lease or delay."""
APART_S = 2.0
"""Seconds until a suspect is tried again, if another one runs."""
ALONE_FROM = 2
"""After so many losses, or before the last one that is accepted, a message runs alone among such messages."""
LAST_TRIES = 3
"""How often it is tried to mark a task as failed: reading its message may be what ends the process."""

Run = Callable[[], Outcome]
GiveUp = Callable[[Any], Outcome]


class Losses:
    """The number of deliveries in which the work on a message began and its process was lost.

    The first delivery is not noted as it begins, which would cost a trip to the store for each task. So a message that
    was delivered before and has no count is taken for begun and lost once, also where it only waited in a worker that
    was lost. A delivery that the process outlived leaves a 0. Where one loss is too many, each delivery is noted.

    Args:
        store: Returns the store of the counts.
        most: So many losses are accepted; after them the message becomes a dead letter.
    """

    def __init__(self, store: Callable[[], State], most: int) -> None:
        self._store = store
        self._most = most
        self._unnoted = min(1, most - 1)
        self._alone_from = max(1, min(ALONE_FROM, most - 1))
        self._suspect = threading.Lock()

    def guard(self, arrival: Arrival, run: Run, give_up: GiveUp) -> Outcome:
        """Return the outcome of *run*, or of *give_up* for a message that had too many losses.

        One suspect runs at a time in this process, so that the last loss is not counted against others.

        Raises:
            UnavailableError: The store did not answer. Nothing was run.
        """
        if not arrival.redelivered:
            return self._first(arrival, run)
        count = self._count(arrival)
        if count >= self._most:
            return self._end(arrival, count, give_up)
        if count < self._alone_from:
            return self._counted(arrival, count + 1, run)
        if not self._suspect.acquire(blocking=False):
            return Outcome(again=True, delay_s=APART_S)
        try:
            return self._counted(arrival, count + 1, run)
        finally:
            self._suspect.release()

    def lost(self, arrival: Arrival, give_up: GiveUp) -> Outcome | None:
        """Take note that the process that worked on a message was lost; return the outcome if that was once too often.

        Raises:
            UnavailableError: The store did not answer.
        """
        if arrival.redelivered:  # the process noted it when it began
            count = self._count(arrival)
        else:
            count = 1
            self._note(arrival, count)
        return self._end(arrival, count, give_up) if count >= self._most else None

    def outlived(self, arrival: Arrival) -> None:
        """Take note that a message comes again although no process was lost with it."""
        try:
            self._note(arrival, 0)
        except CapaError as error:
            logger.warning("the count of lost processes of a message could not be set to 0: %s", error)

    def _first(self, arrival: Arrival, run: Run) -> Outcome:
        if self._most == 1:
            return self._counted(arrival, 1, run)
        outcome = run()
        if outcome.again:
            self.outlived(arrival)
        return outcome

    def _counted(self, arrival: Arrival, count: int, run: Run) -> Outcome:
        self._note(arrival, count)
        over = self.outlived
        try:
            outcome = run()
            over = self.outlived if outcome.again else self._forget
        finally:
            over(arrival)
        return outcome

    def _forget(self, arrival: Arrival) -> None:
        try:
            self._store().delete(_key(arrival))
        except CapaError as error:
            logger.warning("the count of lost processes of a message could not be removed: %s", error)

    def _end(self, arrival: Arrival, count: int, give_up: GiveUp) -> Outcome:
        failure = lost(f"Worker exited prematurely: its process was lost with this task {self._most} times.")
        if count >= self._most + LAST_TRIES:
            outcome = dead_letter(failure.exception)
        else:
            self._note(arrival, count + 1)
            outcome = give_up(failure)
        if outcome.dead:
            logger.critical(
                "A task of queue %s took its process down %d times: its message was moved to the dead letters. "
                "To look at it: capa queue peek %s --dead",
                arrival.queue,
                self._most,
                arrival.queue,
            )
        self._forget(arrival)
        return outcome

    def _count(self, arrival: Arrival) -> int:
        count = self._store().get_json(_key(arrival))
        return self._unnoted if count is None else int(count)

    def _note(self, arrival: Arrival, count: int) -> None:
        self._store().put_json(_key(arrival), count, ttl=KEPT_S)


def _key(arrival: Arrival) -> str:
    name = f"{arrival.queue}\n{arrival.id}".encode(errors="surrogatepass")
    return f"celery-losses-{hashlib.sha256(name).hexdigest()[:32]}"
