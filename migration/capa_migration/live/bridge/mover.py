"""Movers: each takes messages from one topic and publishes them to another, until it is stopped.

A batch is received, published, and then acknowledged: a kill in between makes duplicates, which `known_ids` removes,
and no loss. An end that does not answer is waited for; messages stay leased meanwhile. One that the target refuses
becomes a dead letter of the source, with the reason, and the next one goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from capa_core.blocks.pubsub import Message, PubSubFeature
from capa_core.errors import CapaError, InvalidArgumentError, UnsupportedError
from capa_migration.live.bridge.carried import Verdict, comes_once, draft, verdict
from capa_migration.live.bridge.known_ids import KnownIds, known_ids

if TYPE_CHECKING:
    from capa_core import PubSub, State
    from capa_core.blocks.pubsub import Intake
    from capa_migration.live.bridge.tables import Plan

_BATCH = 100
_RECEIVE_S = 1.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_LEFT_FOR_CONSUMERS_S = 5.0
_REFUSED = (InvalidArgumentError, UnsupportedError)


@dataclass(slots=True)
class Counts:
    """Messages that were received since the start, by their fate."""

    moved: int = 0
    duplicates: int = 0
    returned: int = 0
    expired: int = 0
    dead_letters: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A bridge whose components are made: nothing was connected to."""

    plan: Plan
    source: PubSub
    target: PubSub
    state: State | None
    source_mark: str
    target_mark: str


@dataclass(slots=True)
class Mover:
    """One bridge at work. `run` is for one thread; the attributes may be read by others.

    Attributes:
        counts: See `Counts`.
        waits_for: The reason why nothing moves; `""` while it does.
        waits_since: `time.monotonic()` when that began.
        done: Whether all that could be received was moved (`once`).
        notes: Facts that its user must know, in the order in which they were found.
    """

    route: Route
    once: bool = False
    counts: Counts = field(default_factory=Counts)
    waits_for: str = ""
    waits_since: float = 0.0
    done: bool = False
    notes: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _known: KnownIds = field(init=False)

    def stop(self) -> None:
        """Receive no more. What is in flight is published and acknowledged if the ends answer, else released."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether it was asked to stop."""
        return self._stopped.is_set()

    def run(self) -> None:
        """Move messages until it is stopped or, with *once*, until there are none that can be received."""
        intake = self._join()
        if intake is None:
            return
        with intake:
            self._move_all(intake)
        self.done = self.once and not self.stopped

    def _join(self) -> Intake | None:
        """Join the group, as soon as both ends answer; `None` if it is stopped before."""
        plan, route = self.route.plan, self.route
        pause_s = _FIRST_PAUSE_S
        while not self.stopped:
            try:
                route.target.ping()
                known = known_ids(route.target, route.state, plan.window_s, route.target_mark)
                existed = self._has_group()
                intake = route.source.intake(plan.source.topic, plan.taken_from, raw=True, lease=plan.lease_s)
            except CapaError as error:
                pause_s = self._wait(error, pause_s)
                continue
            self.waits_for = ""
            self._known = known
            self.notes.append(known.note)
            if not existed:
                self.notes.append(
                    f"group {plan.taken_from!r} is new: messages of other groups stay with them"
                )
            return intake
        return None

    def _has_group(self) -> bool:
        if not self.route.source.features[PubSubFeature.INSPECT]:
            return True
        groups = self.route.source.inspect(self.route.plan.source.topic).groups
        return not groups or self.route.plan.taken_from in {group.name for group in groups}

    def _move_all(self, intake: Intake) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self.stopped:
            try:
                if self.once and self._is_drained():
                    return
                messages = intake.receive(_BATCH, _RECEIVE_S)
            except CapaError as error:
                pause_s = self._wait(error, pause_s)
                continue
            pause_s, self.waits_for = _FIRST_PAUSE_S, ""
            if messages:
                self._carry(intake, messages)
            elif self.once:
                return  # what is left is not due yet, or others have it

    def _is_drained(self) -> bool:
        return self.route.source.depth(self.route.plan.source.topic, self.route.plan.taken_from) == 0

    def _carry(self, intake: Intake, messages: Sequence[Message]) -> None:
        """Publish *messages* and settle them, again until the target takes them; release them if it is stopped."""
        pause_s = _FIRST_PAUSE_S
        left = list(messages)
        while left:
            try:
                left = self._passed_on(intake, left)
            except CapaError as error:
                if self.stopped:
                    intake.release(left)
                    return
                pause_s = self._wait(error, pause_s)
            else:
                self.waits_for = ""

    def _passed_on(self, intake: Intake, messages: Sequence[Message]) -> list[Message]:
        """Settle those of *messages* that go on and those that do not, and return those to publish again.

        Raises:
            CapaError: Neither end is at fault but the way to it: none of the messages that are left was settled.
        """
        going = self._sorted_out(intake, messages)
        known = self._known.among([message.id for message in going if comes_once(message)])
        repeated = [message for message in going if message.id in known and comes_once(message)]
        self.counts.duplicates += intake.ack(repeated)
        left = [message for message in going if message not in repeated]
        try:
            return self._published(intake, left)
        except _REFUSED:  # one of them is refused: find it
            return [each for message in left for each in self._published_alone(intake, message)]

    def _published(self, intake: Intake, messages: Sequence[Message]) -> list[Message]:
        """Publish *messages*, acknowledge those that are stored, and return those to publish again."""
        if not messages:
            return []
        route = self.route
        marks = route.source_mark, route.target_mark
        drafts = [draft(message, marks, route.target, self._known.once_s) for message in messages]
        results = route.target.publish_many(route.plan.target.topic, drafts, raw=True)
        pairs = list(zip(messages, results, strict=True))
        stored = [message for message, result in pairs if result.ok]
        self._known.add(message.id for message in stored if comes_once(message))
        duplicates = sum(result.duplicate for _, result in pairs)
        intake.ack(stored)
        self.counts.duplicates += duplicates
        self.counts.moved += len(stored) - duplicates
        again = []
        for message, result in pairs:
            if result.error is not None and result.error.retryable:
                again.append(message)
            elif result.error is not None:
                self._bury(intake, message, result.error)
        if len(again) == len(messages):
            raise next(result.error for _, result in pairs if result.error is not None)
        return again

    def _published_alone(self, intake: Intake, message: Message) -> list[Message]:
        try:
            return self._published(intake, [message])
        except _REFUSED as error:
            self._bury(intake, message, error)
            return []
        except CapaError:
            return [message]  # the target went away meanwhile: the next attempt for all of them tells

    def _sorted_out(self, intake: Intake, messages: Sequence[Message]) -> list[Message]:
        """Settle those of *messages* that do not go on, and return the others."""
        going = []
        for message in messages:
            found = verdict(message, self.route.target_mark, take_back=self.route.plan.take_back)
            if found is None:
                going.append(message)
            elif found is Verdict.CIRCLES:
                self._bury(intake, message, found.value)
            elif found is Verdict.EXPIRED:
                self.counts.expired += intake.ack([message])
            else:
                self._leave(intake, message)
        return going

    def _leave(self, intake: Intake, message: Message) -> None:
        """Leave a message that came from the target where it is: to the consumers of a group that the bridge shares."""
        if self.route.plan.group is None:
            self.counts.returned += intake.ack([message])
        else:
            self.counts.returned += intake.nack([message], min(_LEFT_FOR_CONSUMERS_S, intake.longest_delay_s))

    def _bury(self, intake: Intake, message: Message, reason: CapaError | str) -> None:
        message.failed(reason)
        self.counts.dead_letters += intake.dead_letter([message])

    def _wait(self, error: CapaError, pause_s: float) -> float:
        """Note the reason, wait, and return the next pause."""
        if not self.waits_for:
            self.waits_since = time.monotonic()
        self.waits_for = str(error)
        self._stopped.wait(pause_s)
        return min(_LONGEST_PAUSE_S, pause_s * 2)
