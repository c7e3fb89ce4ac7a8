"""The messages that wait in the queues of a broker, and those that workers hold: read without taking one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capa_core.errors import InvalidArgumentError, UnsupportedError
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_core import PubSub
    from capa_core.blocks.pubsub import PeekedMessage
    from capa_migration.live.drain.broker import Ends

GROUP = "celery"
MOST_NAMED = 20
_PAGE = 500
_WHOLE = 2**40


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue of a broker at one moment.

    Attributes:
        waiting: Messages that can be moved, those included that a killed drain had under way.
        held: Messages that workers hold, as far as the broker tells.
        consumers: Workers that consume the queue; `None` where the broker does not know.
    """

    name: str
    waiting: int
    held: int
    consumers: int | None

    @property
    def is_served(self) -> bool:
        """Whether there may be a worker that holds messages of it."""
        return bool(self.held or self.consumers)


@dataclass(slots=True)
class Kept:
    """Messages that stay in the broker, by the reason; *named* has the first ones, each with its reason."""

    unreadable: int = 0
    bound: int = 0
    refused: int = 0
    named: list[str] = field(default_factory=list)

    def name(self, label: str, reason: str) -> None:
        """Name one of them."""
        if len(self.named) < MOST_NAMED:
            self.named.append(f"{label}: {reason}")

    @property
    def total(self) -> int:
        """All of them."""
        return self.unreadable + self.bound + self.refused


@dataclass(slots=True)
class Forecast:
    """The messages of a queue that a drain would move, and those that it would leave.

    Attributes:
        with_eta: Of those that would be moved, the ones that are not due yet.
        expired: Of those, the ones that a worker will mark as revoked.
        is_read: Whether they were read. Where the broker shows none, all that waits counts as moved.
    """

    status: QueueStatus
    moved: int = 0
    with_eta: int = 0
    expired: int = 0
    is_read: bool = True
    kept: Kept = field(default_factory=Kept)


def statuses_of(source: PubSub, wanted: Sequence[str]) -> list[QueueStatus]:
    """Return the status of the queues that are named, or of all, by name.

    Raises:
        OptionsError: The broker has no such queue, or none at all; or none is named, and it does not tell their names.
        UnavailableError: The broker does not answer.
    """
    if wanted:
        return _named(source, wanted)
    names = _names(source)
    if names is None:
        raise OptionsError(
            f"{source.place} does not tell the names of its queues: name each, as --queue celery. Nothing was moved"
        )
    if not names:
        raise OptionsError(
            f"{source.place} has no queue of Celery's. See that the address names the right database, and that"
            " --option global_keyprefix=PREFIX is given if the application sets one"
        )
    return [status for name in sorted(names) if (status := status_of(source, name)) is not None]


def status_of(source: PubSub, queue: str) -> QueueStatus | None:
    """Return the status of one queue; `None` if the broker tells that it is not there.

    Raises:
        UnavailableError: The broker does not answer.
    """
    for group in source.inspect(queue).groups:
        return QueueStatus(queue, group.depth - group.in_flight, group.in_flight, group.consumers)
    return None


def _named(source: PubSub, wanted: Sequence[str]) -> list[QueueStatus]:
    found = {name: status_of(source, name) for name in wanted}
    doubtful = [
        name for name, status in found.items() if status is None or not (status.waiting or status.held)
    ]
    known = _names(source) if doubtful else None
    for name in doubtful:
        if found[name] is None or (known is not None and name not in known):
            others = f": it has {', '.join(sorted(known)) or 'none'}" if known is not None else ""
            raise OptionsError(f"the broker has no queue {name!r}{others}. Nothing was moved")
    return [status for status in found.values() if status is not None]


def _names(source: PubSub) -> set[str] | None:
    """Return the names of all queues; `None` if the broker does not tell them."""
    try:
        return set(source.topics())
    except UnsupportedError:
        return None


def forecast_of(ends: Ends, status: QueueStatus, *, with_bound: bool) -> Forecast:
    """Return what a drain of a queue would do; every message that waits is read, where the broker shows them.

    Args:
        with_bound: Whether it would move messages whose work is lost elsewhere.

    Raises:
        UnavailableError: The broker does not answer.
    """
    found = Forecast(status)
    try:
        _look(found, ends, with_bound=with_bound)
    except UnsupportedError:
        return Forecast(status, moved=status.waiting, is_read=False)
    return found


def _look(found: Forecast, ends: Ends, *, with_bound: bool) -> None:
    status = found.status
    for number, peeked in enumerate(_waiting(ends.source, status.name), 1):
        try:
            message = ends.read(peeked.data, peeked.id, ends.scheme)
        except InvalidArgumentError as error:
            found.kept.unreadable += 1
            found.kept.name(f"{status.name} message {number}", str(error))
            continue
        if message.bound_by and not with_bound:
            found.kept.bound += 1
            found.kept.name(f"{status.name} {message.label}", message.bound_by)
            continue
        found.moved += 1
        found.with_eta += message.delay_s > 0
        found.expired += message.is_expired


def _waiting(source: PubSub, queue: str) -> Iterator[PeekedMessage]:
    after = ""
    while page := source.peek(queue, GROUP, most=_PAGE, after=after, max_bytes=_WHOLE):
        yield from page
        after = page[-1].position
