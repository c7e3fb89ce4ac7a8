"""Looks at topics and waiting messages.

SQS shows a message to nobody but who receives it. So a look receives, and stores copies that do not count it: what it
has seen is behind the others then, so that the next page is at the head of the queue.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from capa_core.blocks.pubsub.inspection import KEPT, GroupStatus, MessageState, PeekedMessage, TopicStatus
from capa_core.components.aws._messages import Pulled, again
from capa_core.components.aws._names import Names
from capa_core.components.aws._sender import AT_ONCE

if TYPE_CHECKING:
    from capa_core.components.aws.sqs import SqsPubSub

_HIDDEN_S = 30


class Inspector:
    """Looks at one topic."""

    def __init__(self, driver: SqsPubSub, names: Names) -> None:
        self._driver = driver
        self._names = names

    def status(self) -> TopicStatus:
        """Return the status of the topic."""
        queues = self._driver.queues
        base = queues.find(self._names.base)
        if base is None:
            return TopicStatus(name=self._names.topic)
        owner = queues.owner(self._names, base)
        found = [self._group(KEPT if owner is None else owner, base, temporary=False)]
        found += [
            self._group(group, url, temporary=is_temporary)
            for group, (url, is_temporary) in queues.groups(self._names).items()
        ]
        return TopicStatus.of(self._names.topic, sorted(found, key=lambda group: group.name))

    def peek(self, group: str, skip: int, most: int, max_bytes: int) -> list[PeekedMessage]:
        """Return up to *most* messages of *group* after *skip* were seen: ready ones, then those held here."""
        found: list[tuple[Pulled, MessageState]] = []
        for url in self._driver.queues.of_group(self._names, group)[:1]:
            ready = self._driver.queues.counts(url).ready
            found = [(one, _state(one)) for one in self._page(url, skip, min(max(0, ready - skip), most))]
            held = [(one, MessageState.IN_FLIGHT) for one in self._driver.held(url)]
            found += held[max(0, skip - ready) :]
        return [
            _peeked(one, skip + number, state, max_bytes)
            for number, (one, state) in enumerate(found[:most], 1)
        ]

    def _page(self, url: str, skip: int, count: int) -> list[Pulled]:
        if self._driver.settings.is_fifo:  # there what was seen stays at the head
            return self.looked_at(url, skip + count)[skip:] if count else []
        return self.looked_at(url, count)

    def looked_at(self, url: str, most: int) -> list[Pulled]:
        """Return up to *most* messages at the head of a queue, which get behind the others."""
        seen: list[Pulled] = []
        while len(seen) < most:
            more = self._driver.fetch(url, min(AT_ONCE, most - len(seen)), 0, _HIDDEN_S)
            if not more:
                break
            seen += more
        self._give_back(url, seen)
        for one in seen:
            one.deliveries -= 1
            if one.stored:
                self._driver.read_body(one)
        return seen

    def _give_back(self, url: str, seen: Sequence[Pulled]) -> None:
        driver = self._driver
        if driver.settings.is_fifo:
            driver.uncounted(seen)
            self._each("ChangeMessageVisibilityBatch", url, seen, {"VisibilityTimeout": 0})
            return
        driver.sender.copy(url, [again(one, wait_s=0.0, spent=0) for one in seen])
        self._each("DeleteMessageBatch", url, seen, {})

    def _each(self, action: str, url: str, seen: Sequence[Pulled], more: dict[str, int]) -> None:
        for start in range(0, len(seen), AT_ONCE):
            entries = [{"ReceiptHandle": one.handle, **more} for one in seen[start : start + AT_ONCE]]
            for error in self._driver.sender.each(action, url, entries):
                if error is not None:
                    raise error

    def _group(self, name: str, url: str, *, temporary: bool) -> GroupStatus:
        counts = self._driver.queues.counts(url)
        few = counts.ready if counts.ready <= AT_ONCE else 1  # to see all moves none
        ages = self._published(self.looked_at(url, few)) + self._published(self._driver.held(url))
        return GroupStatus(
            name=name,
            depth=counts.all,
            in_flight=counts.hidden,
            oldest_s=max(0.0, time.time() - min(ages)) if ages else None,
            temporary=temporary,
        )

    @staticmethod
    def _published(messages: Iterable[Pulled]) -> list[float]:
        return [one.published_at for one in messages]


def _state(one: Pulled) -> MessageState:
    return MessageState.DELAYED if one.wait_s > 0 else MessageState.READY


def _peeked(one: Pulled, position: int, state: MessageState, max_bytes: int) -> PeekedMessage:
    return PeekedMessage.of(
        one.message,
        str(position),
        max_bytes=max_bytes,
        delivery_count=one.deliveries,
        published_at=one.published_at,
        state=state,
    )
