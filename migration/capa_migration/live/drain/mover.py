"""The mover of a drain: takes messages out of a queue of a broker, publishes them, and then removes them there.

A message that is taken is out of the reach of the broker's workers at once. A killed drain leaves it there, and the
next one goes on with it. It may be published already; the target, or `KnownIds`, knows its id then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from capa_core.blocks.pubsub import Draft, PubSubFeature
from capa_core.errors import CapaError, InvalidArgumentError, UnsupportedError
from capa_migration.live.bridge.known_ids import KnownIds, known_ids
from capa_migration.live.drain.survey import GROUP, Kept, status_of

if TYPE_CHECKING:
    from capa_core.blocks.pubsub import Consumer, Message
    from capa_core.shims.backlog import WaitingMessage
    from capa_migration.live.drain.broker import Ends

_BATCH = 100
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LOOK_AT_HELD_S = 1.0
WINDOW_S = 86_400.0
"""For how long the target knows what was moved: a killed drain must be run again within it."""
_REFUSED = (InvalidArgumentError, UnsupportedError)

T = TypeVar("T")


@dataclass(slots=True)
class Counts:
    """Messages of a queue that were taken, by their fate."""

    moved: int = 0
    with_eta: int = 0
    expired: int = 0
    duplicates: int = 0
    kept: Kept = field(default_factory=Kept)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A message as it was taken, and as it goes on."""

    taken: Message
    waiting: WaitingMessage


@dataclass(slots=True)
class Drain:
    """A drain at work. `run` is for one thread; the attributes may be read by others.

    Attributes:
        with_bound: Whether messages are moved whose work is lost elsewhere.
        wait_s: Seconds for which an end that does not answer is waited for.
        waits_for_held: Whether to wait until workers hold no more messages.
        waits_for: The reason why nothing moves; `""` while it does.
        counts: By queue.
        note: The remover of duplicates, for people.
    """

    ends: Ends
    with_bound: bool = False
    wait_s: float = 60.0
    waits_for_held: bool = False
    waits_for: str = ""
    counts: dict[str, Counts] = field(default_factory=dict)
    note: str = ""
    _stopped: threading.Event = field(default_factory=threading.Event)
    _known: KnownIds = field(init=False)
    _counts: Counts = field(init=False)

    def stop(self) -> None:
        """End when what is under way is published and removed."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopped.is_set()

    def run(self, queues: Sequence[str]) -> None:
        """Move what waits in *queues*, one after the other.

        Raises:
            UnavailableError: An end did not answer for so long. Nothing is lost: the next run goes on.
            ConflictError: Another drain has taken over. As above.
        """
        for queue in queues:
            if not self.stopped:
                self._move(queue)

    def _move(self, queue: str) -> None:
        ends = self.ends
        self._counts = self.counts.setdefault(queue, Counts())
        self._known = known_ids(ends.target, ends.state, WINDOW_S, f"{ends.mark} {queue}")
        self.note = self._known.note
        consumer = self._patiently(lambda: ends.source.consumer(queue, GROUP, raw=True))
        kept: list[Message] = []
        try:
            while not self.stopped:
                is_served = self._is_served(
                    queue
                )  # before the look, which finds what is given back meanwhile
                messages = self._patiently(lambda: consumer.receive(_BATCH, 0.0))
                if messages:
                    kept += self._carry(consumer, queue, messages)
                elif is_served:
                    self.waits_for = f"workers hold messages of {queue!r}"
                    self._stopped.wait(_LOOK_AT_HELD_S)
                else:
                    break
            self._patiently(lambda: consumer.release(kept))
        finally:
            with suppress(CapaError):  # the broker is away: the next drain takes the place of this one anyway
                consumer.close()

    def _is_served(self, queue: str) -> bool:
        """Return whether workers hold messages that are to be waited for."""
        status = self._patiently(lambda: status_of(self.ends.source, queue)) if self.waits_for_held else None
        return status is not None and status.is_served

    def _carry(self, consumer: Consumer, queue: str, messages: Sequence[Message]) -> list[Message]:
        """Publish *messages* and remove them from the broker; return those that stay there."""
        read = [(message, self._read(queue, message)) for message in messages]
        going = [_Pair(message, waiting) for message, waiting in read if waiting is not None]
        known = self._patiently(lambda: self._known.among([pair.waiting.id for pair in going]))
        left = [pair for pair in going if pair.waiting.id not in known]
        self._counts.duplicates += len(going) - len(left)
        refused = self._published(queue, left)
        gone = [pair.taken for pair in going if pair.taken not in refused]
        self._patiently(lambda: consumer.ack(gone))
        stay = [message for message, waiting in read if waiting is None] + refused
        for message in stay:  # they are given back by their receipts, at the end
            message.data = message.delivery.data = b""
        return stay

    def _read(self, queue: str, message: Message) -> WaitingMessage | None:
        """Return *message* as it goes on; `None` if it stays, which is noted with the reason."""
        kept = self._counts.kept
        try:
            waiting = self.ends.read(message.data, message.id, self.ends.scheme)
        except InvalidArgumentError as error:
            kept.unreadable += 1
            kept.name(f"{queue} {_beginning(message.data)}", str(error))
            return None
        if waiting.bound_by and not self.with_bound:
            kept.bound += 1
            kept.name(f"{queue} {waiting.label}", waiting.bound_by)
            return None
        return waiting

    def _published(self, queue: str, pairs: Sequence[_Pair]) -> list[Message]:
        """Publish messages until the target has them; return those that it refuses for good.

        Raises:
            CapaError: The target did not answer for too long. Any of them may be published.
        """
        refused: list[Message] = []
        left = list(pairs)
        while left:
            try:
                left = self._patiently(lambda: self._attempted(queue, left, refused))  # noqa: B023 - called at once
            except _REFUSED as error:
                if len(left) == 1:
                    left = self._refuse(queue, left[0], error, refused)
                else:  # find it
                    for pair in left:
                        refused += self._published(queue, [pair])
                    return refused
        return refused

    def _attempted(self, queue: str, pairs: Sequence[_Pair], refused: list[Message]) -> list[_Pair]:
        """Publish messages once; return those to publish again.

        Raises:
            CapaError: None of them is stored for sure.
        """
        results = self.ends.target.publish_many(
            queue, [self._draft(pair.waiting) for pair in pairs], raw=True
        )
        again, error = [], None
        stored = []
        for pair, result in zip(pairs, results, strict=True):
            if result.ok:
                stored.append(pair.waiting)
                self._count(pair.waiting, duplicate=result.duplicate)
            elif result.error is not None and result.error.retryable:
                again.append(pair)
                error = result.error
            else:
                self._refuse(queue, pair, result.error, refused)
        self._known.add(waiting.id for waiting in stored)
        if error is not None and len(again) == len(pairs):
            raise error
        return again

    def _count(self, waiting: WaitingMessage, *, duplicate: bool) -> None:
        counts = self._counts
        if duplicate:
            counts.duplicates += 1
            return
        counts.moved += 1
        counts.with_eta += waiting.delay_s > 0
        counts.expired += waiting.is_expired

    def _refuse(
        self, queue: str, pair: _Pair, error: CapaError | None, refused: list[Message]
    ) -> list[_Pair]:
        self._counts.kept.refused += 1
        self._counts.kept.name(f"{queue} {pair.waiting.label}", str(error))
        refused.append(pair.taken)
        return []

    def _draft(self, waiting: WaitingMessage) -> Draft:
        target = self.ends.target
        longest = target.limits.max_delay_s
        # A worker that gets a task before its time puts it off again.
        delay_s = waiting.delay_s if longest is None else min(waiting.delay_s, longest)
        return Draft(
            data=waiting.data,
            content_type=waiting.content_type,
            priority=waiting.priority if target.features[PubSubFeature.PRIORITY] else 0,
            delay=delay_s,
            ttl=waiting.ttl_s,
            id=waiting.id,
            once_within=self._known.once_s,
        )

    def _patiently(self, call: Callable[[], T]) -> T:
        """Return what *call* returns, again while an end does not answer.

        Raises:
            CapaError: It cannot help to call again, or the end did not answer for `wait_s`.
        """
        end = time.monotonic() + self.wait_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                answer = call()
            except CapaError as error:
                if not error.retryable or time.monotonic() >= end or self.stopped:
                    raise
                self.waits_for = str(error)
                self._stopped.wait(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            else:
                self.waits_for = ""
                return answer


def _beginning(data: bytes) -> str:
    return ascii(data[:60].decode(errors="replace"))
