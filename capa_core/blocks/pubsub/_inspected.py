"""Inspection of topics: status, waiting messages, dead letters and their replay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capa_core.blocks.pubsub._checks import check_name
from capa_core.blocks.pubsub._replay import Replay
from capa_core.blocks.pubsub.driver import PubSubDriver, PubSubFeature
from capa_core.blocks.pubsub.inspection import (
    DEAD_LETTER_GROUP,
    DeadLetter,
    GroupStatus,
    PeekedMessage,
    TopicStatus,
    dead_letter,
    dead_letter_group,
    dead_topic,
)
from capa_core.call.checks import check_count
from capa_core.call.portable import Portable, counted
from capa_core.errors import UnsupportedError

MOST_BYTES = 65_536


class Inspected(Portable[PubSubDriver[Any]]):
    """The part of `PubSub` for people and tools that look after queues."""

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic once, in no order; those that come meanwhile may be missing.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        self._require(PubSubFeature.INSPECT)
        return self._listed()

    def inspect(self, topic: str) -> TopicStatus:
        """Return the groups of *topic* with depth, messages in flight, age and consumers.

        The numbers are read one after the other while others publish and receive: each is right, their sum may not be.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        self._require(PubSubFeature.INSPECT)
        return self._guard.safe("inspect", self._driver.inspect, check_name("topic", topic))

    def peek(
        self,
        topic: str,
        group: str = "default",
        *,
        most: int = 10,
        after: str = "",
        max_bytes: int = MOST_BYTES,
    ) -> list[PeekedMessage]:
        """Return messages that wait for *group*, without leasing or counting them.

        Args:
            group: For one that does not exist: the messages that it would find.
            most: 1 to 10,000. Fewer messages mean that there are no more.
            after: The position of the last message of the call before; `""` begins.
            max_bytes: Longer bodies are cut off there; `size` is that of the whole.

        Raises:
            InvalidArgumentError: *after* is not the position of a message.
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        self._require(PubSubFeature.INSPECT)
        check_name("topic", topic)
        check_name("group", group)
        return self._guard.safe(
            "peek",
            self._driver.peek,
            topic,
            group,
            check_count("most", most),
            after=after,
            max_bytes=max_bytes,
        )

    def dead_letters(
        self, topic: str, *, most: int = 10, after: str = "", max_bytes: int = MOST_BYTES
    ) -> list[DeadLetter]:
        """Return the messages of *topic* that groups gave up on, with the reasons; else as `peek`.

        They are the messages of the topic `<topic>.dead` for its group `default`, whether that exists yet or not. If
        there are only other groups, they are those of the group with most messages.

        Raises:
            InvalidArgumentError: *after* is not the position of a message.
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        dead = dead_topic(check_name("topic", topic))
        group = dead_letter_group(self.inspect(dead))
        found = self.peek(dead, group.name, most=most, after=after, max_bytes=max_bytes)
        return [dead_letter(topic, message) for message in found]

    def replay(self, topic: str, *, most: int | None = None) -> int:
        """Move dead letters of *topic* back to it, for every group, and return how many.

        They are those of `dead_letters`; if there are none, nothing is created. Each is published first and then
        removed: if this is interrupted, one may be there twice, and none is lost.
        Messages that die again meanwhile are left for the next call. Several callers share the work.

        Args:
            most: Move so many at most; `None` for all that are there now.

        Raises:
            UnavailableError: The engine did not answer. A part of them may be moved; call again.
            ExhaustedError: The engine is full. As above.
        """
        dead = dead_topic(check_name("topic", topic))
        most = None if most is None else check_count("most", most, most=10**9)
        group, *others = self._dead_letter_groups(dead)
        if not group.depth:
            return 0
        with self._replay(topic, group) as replay:
            moved = replay.move(group.depth if most is None else min(group.depth, most))
        for other in others:
            with self._replay(topic, other) as copies:
                copies.remove(moved, other.depth)
        return moved.total()

    def _replay(self, topic: str, group: GroupStatus) -> Replay:
        is_ready = group.depth > group.in_flight
        return Replay(self._guard, self._driver, topic, group.name, is_ready=is_ready)

    def summary(self) -> str:
        """See `Portable.summary`."""
        if not self._features[PubSubFeature.INSPECT]:
            return ""
        return counted(sum(1 for _ in self.topics()), "topic")

    def _dead_letter_groups(self, dead: str) -> list[GroupStatus]:
        """Return the group with the dead letters, then those whose copies of them go when they are moved.

        Beside a group `default` others keep theirs, as those of any topic do.
        """
        if not self._features[PubSubFeature.INSPECT]:
            depth = self._guard.safe("depth", self._driver.depth, dead, DEAD_LETTER_GROUP)
            return [GroupStatus(name=DEAD_LETTER_GROUP, depth=depth, in_flight=0)]
        status = self.inspect(dead)
        chosen = dead_letter_group(status)
        if chosen.name == DEAD_LETTER_GROUP:
            return [chosen]
        return [chosen, *(group for group in status.groups if group is not chosen and not group.temporary)]

    def _listed(self) -> Iterator[str]:
        yield from self._guard.each("topics", self._driver.topics)

    def _require(self, feature: PubSubFeature) -> None:
        support = self._features[feature]
        if not support:
            raise UnsupportedError(
                f"pubsub {self.name!r} has no {feature}: {support.note}. Use the engine's own tools."
            )
