"""The tasks that this worker has received and not settled: numbers to pools, messages to the intakes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from capa_celery._worker._outcomes import Arrival, Outcome
from capa_core.blocks.pubsub import Intake, Message

_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class Job:
    """One leased message.

    Attributes:
        number: Counts up over the life of the worker process.
        intake: The intake that received the message and settles it.
        put: Whether it is with the pool, rather than on its way to it.
    """

    message: Message
    intake: Intake
    queue: str
    number: int = field(default_factory=lambda: next(_numbers))
    put: bool = False

    @property
    def lease_left_s(self) -> float:
        """The seconds for which it is surely leased; 0 if another worker may have it by now."""
        return self.intake.lease_left_s(self.message)

    @property
    def arrival(self) -> Arrival:
        """The message as a task is run from it."""
        message = self.message
        return Arrival(message.data, self.queue, message.delivery_count > 1, message.id)


class Jobs:
    """The jobs that are not settled, by number. Safe for many threads.

    Args:
        on_settled: Called with the number of jobs that have ended, and with 0 when there may be room for others.
    """

    def __init__(self, on_settled: Callable[[int], None]) -> None:
        self._on_settled = on_settled
        self._known: dict[int, Job] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, jobs: Iterable[Job]) -> None:
        """Add newly received jobs."""
        self._known.update((job.number, job) for job in jobs)

    def get(self, number: int) -> Job | None:
        """Return a job that is not settled yet."""
        return self._known.get(number)

    def all(self) -> list[Job]:
        """Return the jobs that are not settled yet."""
        return list(self._known.values())

    def forget(self, jobs: Iterable[Job]) -> list[Job]:
        """Remove jobs without settling them, and return those that were not settled."""
        return [job for job in jobs if self._known.pop(job.number, None) is not None]

    def of(self, messages: Iterable[Message]) -> list[Job]:
        """Return the jobs of *messages* that are not settled yet."""
        wanted = set(messages)
        return [job for job in self.all() if job.message in wanted]

    def put_off(self, jobs: Iterable[Job], delay_s: float) -> None:
        """Have jobs that were not begun come again after *delay_s*."""
        found = self.forget(jobs)
        for intake in {job.intake for job in found}:
            messages = [job.message for job in found if job.intake is intake]
            intake.nack(messages, min(delay_s, intake.longest_delay_s))

    def notice_room(self) -> None:
        """Have it looked for room again, as after a job has ended."""
        self._on_settled(0)

    def settle(self, outcomes: Iterable[tuple[Job, Outcome]]) -> None:
        """Acknowledge jobs, or reject them."""
        found = [pair for pair in outcomes if self._known.pop(pair[0].number, None) is not None]
        if not found:
            return
        self._on_settled(len(found))
        groups: dict[tuple[Intake, bool, bool, float], list[Message]] = {}
        for job, outcome in found:
            if outcome.reason:
                job.message.failed(outcome.reason)
            way = (job.intake, outcome.dead, outcome.again, outcome.delay_s)
            groups.setdefault(way, []).append(job.message)
        for (intake, dead, again, delay_s), messages in groups.items():
            if dead:
                intake.dead_letter(messages)
            elif again:
                # A task that comes before its ETA is rejected again: it may come as early as the engine needs.
                intake.nack(messages, min(delay_s, intake.longest_delay_s))
            else:
                intake.ack(messages)
        self._on_settled(0)

    def release(self, jobs: Iterable[Job]) -> None:
        """Release jobs that were not begun: other workers get them at once."""
        found = self.forget(jobs)
        for intake in {job.intake for job in found}:
            intake.release([job.message for job in found if job.intake is intake])
        if found:
            self._on_settled(0)


class Window:
    """A limit on the jobs that a worker holds: few when tasks are long, so that others get them; many when short.

    Args:
        slots: How many tasks run at once; may be changed.
        multiplier: Celery's `worker_prefetch_multiplier`; 0 sets no limit of its own.
    """

    MOST = 512
    AHEAD_S = 0.1
    LONG_S = 0.5

    def __init__(self, slots: int, multiplier: int) -> None:
        self.slots = slots
        self._multiplier = multiplier
        self._rate = 0.0
        self._since = time.monotonic()
        self._learning = threading.Lock()

    def size(self) -> int:
        """Return how many jobs may be held now."""
        if self._rate == 0.0:
            return self._first()
        if self._rate * self.LONG_S < self.slots:
            return self.slots
        return min(self.MOST, max(self._first(), int(self._rate * self.AHEAD_S)))

    def _first(self) -> int:
        return self.slots * self._multiplier if self._multiplier else self.MOST

    def begin(self) -> None:
        """Start the clock: the first job after a pause has come."""
        self._since = time.monotonic()

    def settled(self, count: int) -> None:
        """Count *count* jobs that ended."""
        if not count:
            return
        with self._learning:
            now = time.monotonic()
            rate = count / max(1e-4, now - self._since)
            self._since = now
            self._rate = rate if self._rate == 0.0 else 0.7 * self._rate + 0.3 * rate

    def slow_down(self) -> None:
        """Limit the held jobs to the running ones, because tasks are long."""
        self._rate = 1e-3
