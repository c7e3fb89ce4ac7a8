"""The messages that this worker has leased, from their arrival until they are settled."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from capa_celery._worker._execution import Arrival, Outcome
from capa_core.blocks.pubsub import Consumer, Message
from capa_core.errors import CapaError

logger = logging.getLogger("celery.capa.worker")

_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class Job:
    """One leased message.

    Attributes:
        number: Counts up over the life of the worker process.
        consumer: Through which it is settled.
    """

    message: Message
    consumer: Consumer
    queue: str
    number: int = field(default_factory=lambda: next(_numbers))

    @property
    def arrival(self) -> Arrival:
        """The message as a task is run from it."""
        return Arrival(self.message.data, self.queue, self.message.delivery_count > 1)


class Jobs:
    """Keeps the lease of each job until it is settled, however long it runs. Safe for many threads.

    Args:
        lease_s: The lease of the consumers; each job's is renewed three times within it.
        on_settled: Called with how many jobs were just settled.
    """

    def __init__(self, lease_s: float, on_settled: Callable[[int], None]) -> None:
        self._every_s = lease_s / 3
        self._on_settled = on_settled
        self._held: dict[int, Job] = {}
        self._owed: list[tuple[Job, Outcome]] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew_for_ever, name="capa-leases", daemon=True)

    def start(self) -> None:
        """Begin to renew leases."""
        self._thread.start()

    def __len__(self) -> int:
        return len(self._held)

    def add(self, jobs: Iterable[Job]) -> None:
        """Take charge of newly received jobs."""
        self._held.update((job.number, job) for job in jobs)

    def get(self, number: int) -> Job | None:
        """Return a job that is not settled yet."""
        return self._held.get(number)

    def all(self) -> list[Job]:
        """Return the jobs that are not settled yet."""
        return list(self._held.values())

    def settle(self, outcomes: Iterable[tuple[Job, Outcome]]) -> None:
        """Acknowledge the jobs, or have them come again. What the broker does not take now is tried again later."""
        found = [pair for pair in outcomes if self._held.pop(pair[0].number, None) is not None]
        if not found:
            return
        self._on_settled(len(found))
        try:
            _tell_broker(found)
        except CapaError as error:
            logger.warning("cannot settle %d task(s) now: %s", len(found), error)
            self._owed += found

    def release(self, jobs: Iterable[Job]) -> None:
        """Hand back jobs that were not begun, for other workers to take at once."""
        found = [job for job in jobs if self._held.pop(job.number, None) is not None]
        if not found:
            return
        self._on_settled(0)
        for consumer in {job.consumer for job in found}:
            try:
                consumer.release([job.message for job in found if job.consumer is consumer])
            except CapaError as error:
                logger.warning("cannot hand back tasks now, they come again after their lease: %s", error)

    def stop(self) -> None:
        """End the renewals, and settle what the broker did not take before."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._pay()

    def _renew_for_ever(self) -> None:
        while not self._stopped.wait(self._every_s):
            self._pay()
            self._renew()

    def _renew(self) -> None:
        jobs = self.all() + [job for job, _ in self._owed]
        for consumer in {job.consumer for job in jobs}:
            own = [job for job in jobs if job.consumer is consumer]
            try:
                kept = consumer.extend([job.message for job in own])
            except CapaError as error:
                logger.warning("cannot renew the lease of %d task(s) now: %s", len(own), error)
                continue
            for job, still_ours in zip(own, kept, strict=True):
                if not still_ours and job.number in self._held:
                    logger.warning("lost the lease of a task on %s: another worker may run it too", job.queue)

    def _pay(self) -> None:
        owed, self._owed = self._owed, []
        if owed:
            try:
                _tell_broker(owed)
            except CapaError as error:
                logger.warning("still cannot settle %d task(s): %s", len(owed), error)
                self._owed += owed


def _tell_broker(outcomes: list[tuple[Job, Outcome]]) -> None:
    groups: dict[tuple[Consumer, bool, float], list[Message]] = {}
    for job, outcome in outcomes:
        groups.setdefault((job.consumer, outcome.again, outcome.delay_s), []).append(job.message)
    for (consumer, again, delay_s), messages in groups.items():
        if again:
            consumer.nack(messages, delay_s)
        else:
            consumer.ack(messages)


class Window:
    """How many jobs a worker may hold: few when tasks are long, so that other workers get them; many when short.

    Args:
        slots: How many tasks run at once.
        multiplier: Celery's `worker_prefetch_multiplier`; 0 sets no limit of its own.
    """

    MOST = 512
    AHEAD_S = 0.1
    LONG_S = 0.5

    def __init__(self, slots: int, multiplier: int) -> None:
        self._slots = slots
        self._first = slots * multiplier if multiplier else self.MOST
        self._rate = 0.0
        self._since = time.monotonic()
        self._changed = threading.Condition()

    def size(self) -> int:
        """Return how many jobs may be held now."""
        if self._rate == 0.0:
            return self._first
        if self._rate * self.LONG_S < self._slots:
            return self._slots
        return min(self.MOST, max(self._first, int(self._rate * self.AHEAD_S)))

    def wait_for_room(self, held: Callable[[], int], timeout_s: float) -> int:
        """Return how many more jobs may be taken, waiting until there is room for one; 0 after *timeout_s*."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while (room := self.size() - held()) <= 0:
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return 0
            return room

    def begin(self) -> None:
        """Start the clock: the first job after a pause has come."""
        self._since = time.monotonic()

    def settled(self, count: int) -> None:
        """Learn that *count* jobs ended, and let the waiting intake look again."""
        with self._changed:
            if count:
                now = time.monotonic()
                rate = count / max(1e-4, now - self._since)
                self._since = now
                self._rate = rate if self._rate == 0.0 else 0.7 * self._rate + 0.3 * rate
            self._changed.notify_all()

    def slow_down(self) -> None:
        """Learn that tasks turned out to be long: hold no more than run."""
        with self._changed:
            self._rate = 1e-3
