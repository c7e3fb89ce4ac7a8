"""Celery's queues on Redis, for fleets of which a part is still Celery: its layout, with leases and without loss."""

from __future__ import annotations

import heapq
import itertools
import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from capa_core.abilities import BY_DRIVER, NATIVE, absent, approximate
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    PubSubDriver,
    PubSubFeature,
)
from capa_core.blocks.pubsub.over_driver import LayoutOver
from capa_core.components.redis import _celery_scripts as scripts
from capa_core.components.redis._celery_layout import (
    CeleryLayout,
    HeldMessage,
    again,
    is_of_group,
    tag_and_eta,
)
from capa_core.components.redis._client import Client, Script
from capa_core.errors import UnsupportedError

_SLICE_S = 0.25
"""The longest blocking wait, and so the longest delay of a `close`, and of the first message that has a priority."""
_POLL_S = 0.02
"""The time between two looks at all lists once messages with priorities have come: a wait is at one list alone."""
_LOOK_FOR_LOST_S = 1.0
_LOOK_FOR_OVERDUE_S = 10.0
_LONGEST_CLAIM_MS = 60_000
"""Longer than a worker claims the body of a chord for: 21 s with Celery's defaults."""
_BATCH = 100
_MOST_BATCHES = 10
_MOST_RECEIPTS = 1000
_SIGNS_PER_LEASE = 4 / 3
CONTENT_TYPE = "application/vnd.celery.v2+json"
_FIRST = "RPUSH"
_LAST = "LPUSH"


class CeleryQueues(LayoutOver[PubSubDriver[Any]]):
    """The queues of a fleet of Celery's workers, received in its own layout. There to receive: producers are kombu's.

    - `<queue>`, and `<queue>\\x06\\x163`, `…6`, `…9`: lists of messages, the most urgent first; read from the right.
    - `unacked`: a hash of the messages that workers hold, by their delivery tags, or by the receipts of Capa's
      consumers; `unacked_index`: since when. A worker of Celery takes others for dead that have not settled a message
      within its visibility timeout. So these times are renewed here.
    - `_capa.celery.leases`: a sorted set of receipts by the ends of their leases, of Capa's consumers alone. The
      messages of one that was killed come back after its lease.

    A message goes from its list to `unacked`, with its lease, in one step. One before its ETA is held by the consumer
    that took it, as in Celery. Messages that are published, such as dead letters, go to the topics of the driver below,
    which `capa queue` shows.
    """

    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.GROUPS: absent("a queue of Celery has one group, of all its workers"),
        PubSubFeature.LEASE: BY_DRIVER,
        PubSubFeature.NACK_DELAY: BY_DRIVER,
        PubSubFeature.ORDER_BY_KEY: absent("a queue of Celery has no keys"),
        PubSubFeature.DURABLE: approximate("as the server's appendonly and appendfsync settings define"),
        PubSubFeature.INSPECT: absent("`capa queue` reads the queues of Capa's own layout"),
        PubSubFeature.PEEK_DELAYED: absent("as above"),
        PubSubFeature.PURGE_GROUP: absent("as for groups"),
    }

    def __init__(self, under: PubSubDriver[Any], client: Client, options: Mapping[str, Any]) -> None:
        super().__init__(under)
        self.client = client
        self.layout = CeleryLayout.of(options)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """Consume a queue: see `PubSubDriver.consume`. All its consumers compete, whatever *group* is named."""
        del group
        if temporary:
            raise UnsupportedError(
                f"{topic!r}: a broadcast is no queue of Celery's. Use its fanout exchange."
            )
        return CeleryQueueConsumer(self, topic, lease_s)

    def depth(self, topic: str, group: str) -> int:
        """Return how many messages wait in the lists; those that workers hold are not counted, as with kombu."""
        del group
        lists = self.layout.lists(topic)
        return sum(self.client.call_many([("LLEN", name) for name in lists]))

    def purge(self, topic: str) -> int:
        """Remove what waits in the lists: see `PubSubDriver.purge`."""
        count = self.depth(topic, "")
        self.client.delete_many(self.layout.lists(topic))
        return count

    def restore_lost(self, take_over: Callable[[bytes, bytes, HeldMessage], object] | None) -> int:
        """Give back the messages of Capa's consumers that let their leases end, some with each call; return how many.

        One of a group is given to *take_over*, by its receipt: it may be the part of a chord whose body the dead worker
        had claimed and not sent. Workers of Celery would not send that body, since they do not wait for the end of such
        a claim; one of Capa does. What none of Capa has taken over when a claim must have ended goes back for all.
        `None` gives all of them back.
        """
        restored = passed = 0
        for _ in range(_MOST_BATCHES):
            found = self._run(scripts.LOST, passed, _BATCH)
            left = 0
            for receipt, held, lapsed_ms in found:
                message = HeldMessage.of(held)
                may_be_claimed = message is not None and message.is_of_group and lapsed_ms < _LONGEST_CLAIM_MS
                if take_over is not None and message is not None and may_be_claimed:
                    take_over(receipt, held, message)
                    left += 1
                else:
                    restored += self._restore(receipt, held, leased=1)
            if left < _BATCH:
                break
            passed += left
        return restored

    def restore_overdue(self) -> int:
        """Give back messages that workers of Celery have not settled within the visibility timeout; return how many."""
        overdue = self._run(scripts.OVERDUE, repr(self.layout.visibility_s), _BATCH)
        return sum(self._restore(field, held, leased=0) for field, held in overdue)

    def _restore(self, field: bytes, held: bytes, *, leased: int) -> int:
        message = HeldMessage.of(held)
        if message is None:  # nobody can tell where it came from
            return 0
        lists = [self.layout.list_of(queue, message.priority) for queue in self.queues_of(message)]
        if not lists:
            return 0
        visibility_s = repr(self.layout.visibility_s)
        return int(self._run(scripts.RESTORE, leased, field, held, visibility_s, message.payload, *lists))

    def queues_of(self, message: HeldMessage) -> Sequence[str]:
        """Return the queues that a held message came from."""
        if not message.exchange:
            return (message.routing_key,) if message.routing_key else ()
        members = self.client.call("SMEMBERS", self.layout.bindings(message.exchange))
        return self.layout.bound(members, message.routing_key) or (message.routing_key,)

    def _run(self, script: Script, *arguments: Any) -> Any:
        return self.client.run_on(script, self.layout.holding, *arguments)


@dataclass(frozen=True, slots=True)
class _Held:
    """A message that a consumer holds, and the list that it goes back to."""

    name: str
    delivery: Delivery


class _AtMost:
    """A function that takes *count* messages, and no more."""

    def __init__(self, count: int, take: Callable[[bytes, bytes, HeldMessage], bool]) -> None:
        self._left = count
        self._take = take

    def __call__(self, lost: bytes, held: bytes, message: HeldMessage) -> None:
        if self._left:
            self._left -= self._take(lost, held, message)


class CeleryQueueConsumer(ConsumerDriver):
    """One consumer of one of Celery's queues. It holds messages before their ETA until they are due."""

    def __init__(self, driver: CeleryQueues, queue: str, lease_s: float) -> None:
        self._driver = driver
        self._client = driver.client
        self._lists = driver.layout.lists(queue)
        self._name = queue
        self._queue = json.dumps(queue)
        self._lease_s = lease_s
        self._lease_ms = round(lease_s * 1000)
        # Also before the time after which a worker of Celery takes this one for dead.
        self.silence_s = min(lease_s * _SIGNS_PER_LEASE, driver.layout.visibility_s)
        self._ident = uuid.uuid4().hex
        self._takes = itertools.count()
        self._held: dict[bytes, _Held] = {}
        self._later: list[tuple[float, int, bytes]] = []
        self._order = itertools.count()
        self._changing = threading.Lock()
        self._receiving = threading.Lock()
        self._closing = threading.Event()
        self._slice_s = min(_SLICE_S, driver.settings.timeout_s / 2)
        self._has_priorities = False
        self._next_look = self._next_overdue = 0.0

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        end = time.monotonic() + timeout_s
        while not self._closing.is_set():
            with self._receiving:
                if self._closing.is_set():
                    break
                self._look_for_lost(max_messages)
                deliveries = self._due(max_messages) or self._take(max_messages)
                left_s = end - time.monotonic()
                if deliveries or left_s <= 0:
                    return deliveries
                self._await(left_s)
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        for part in _parts(receipts):
            self._run(scripts.ACK, *part)
            self._forget(part)

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`: those that come later stay with this consumer until then, or until it ends.

        Parts of groups go to no worker of Celery, see `CeleryQueues.restore_lost`: this one has begun them.
        """
        given = cast("Sequence[bytes]", receipts)
        if delay_s:
            self._hold_until(time.time() + delay_s, given)
        else:
            self._give_back(self._without_parts(given), _LAST, marked=True)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`. A part of a group that came before was begun then: see `nack`."""
        given = cast("Sequence[bytes]", receipts)
        self._without_parts(self._that_came_before(given))
        self._give_back(given, _FIRST)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`. The messages before their ETA are extended, too."""
        with self._changing:
            waiting = [receipt for _, _, receipt in self._later]
        answers = self._extend(receipts)
        for receipt, is_ours in zip(waiting, self._extend(waiting), strict=True):
            if not is_ours:
                self._forget([receipt])
        self._look_for_lost(0)
        return answers

    def close(self) -> None:
        """See `ConsumerDriver.close`. As in Celery, messages before their ETA go back too."""
        if self._closing.is_set():
            return
        self._closing.set()
        with self._receiving:  # what a `receive` in another thread takes before it ends goes back too
            with self._changing:
                waiting = {receipt for _, _, receipt in self._later}
                begun = [receipt for receipt in self._held if receipt not in waiting]
            self._give_back(self._without_parts(begun), _FIRST, marked=True)
            self.release(list(waiting))

    # Receiving

    def _take(self, most: int) -> list[Delivery]:
        """Take messages from the lists; those before their ETA stay here, and others are taken in their place."""
        ready: list[Delivery] = []
        while len(ready) < most:
            token = f"{self._ident}.{next(self._takes):x}"
            wanted = most - len(ready)
            rows = self._client.run_on(
                scripts.TAKE,
                (*self._driver.layout.holding, *self._lists),
                wanted,
                self._lease_ms,
                token,
                self._queue,
            )
            for receipt, tag, number, came_before, eta, raw in rows:
                due = _due_at(eta)
                delivery = _delivery(receipt, tag, raw, number, came_before)
                with self._changing:
                    self._held[receipt] = _Held(self._lists[number], delivery)
                    if due > time.time():
                        heapq.heappush(self._later, (due, next(self._order), receipt))
                    else:
                        ready.append(delivery)
                self._has_priorities = self._has_priorities or number > 0
            if len(rows) < wanted:
                break
        return ready

    def _due(self, most: int) -> list[Delivery]:
        """Return messages that were before their ETA, are due now, and are still this consumer's.

        The server knows that: a process that was suspended for longer than its lease finds messages due that others
        have by then.
        """
        due = self._pop_due(most)
        try:
            answers = self._extend([receipt for _, _, receipt in due])
        except BaseException:
            with self._changing:
                for each in due:
                    heapq.heappush(self._later, each)
            raise
        lost = [receipt for (_, _, receipt), is_ours in zip(due, answers, strict=True) if not is_ours]
        self._forget(lost)
        with self._changing:
            return [self._held[receipt].delivery for _, _, receipt in due if receipt in self._held]

    def _pop_due(self, most: int) -> list[tuple[float, int, bytes]]:
        due: list[tuple[float, int, bytes]] = []
        with self._changing:
            while self._later and self._later[0][0] <= time.time() and len(due) < most:
                due.append(heapq.heappop(self._later))
        return due

    def _await(self, left_s: float) -> None:
        """Wait until there is a message in the first list, or one is due.

        The command takes the first message of the list and puts it back where it was, in one step: it waits for a
        message and changes nothing.
        """
        with self._changing:
            due_s = self._later[0][0] - time.time() if self._later else math.inf
        wait_s = max(0.001, min(left_s, self._slice_s, due_s))
        if self._has_priorities:
            self._closing.wait(min(wait_s, _POLL_S))
            return
        name = self._lists[0]
        self._client.call("BLMOVE", name, name, "RIGHT", "RIGHT", f"{wait_s:.3f}")

    def _look_for_lost(self, most: int) -> None:
        """Give back what dead consumers held, and take over *most* of it: as many as are worked on here at once."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + min(_LOOK_FOR_LOST_S, self._lease_s / 4)
            self._driver.restore_lost(_AtMost(most, self._take_over))
        if now >= self._next_overdue:
            self._next_overdue = now + _LOOK_FOR_OVERDUE_S
            self._driver.restore_overdue()

    def _take_over(self, lost: bytes, held: bytes, message: HeldMessage) -> bool:
        """Hold what a dead consumer of this queue held, and return whether it is held here now."""
        if message.exchange or message.routing_key != self._name:
            return False
        token = f"{self._ident}.{next(self._takes):x}.0"
        tag, eta = tag_and_eta(message.payload)
        receipt = f"{token}:{tag or token}".encode()
        anew = b'[%b, "", %b]' % (message.payload, self._queue.encode())
        if not self._run(scripts.TAKE_OVER, lost, held, receipt, anew, self._lease_ms):
            return False
        name = self._driver.layout.list_of(self._name, message.priority)
        delivery = _delivery(receipt, (tag or token).encode(), message.payload, self._lists.index(name), 1)
        with self._changing:
            self._held[receipt] = _Held(name, delivery)
            heapq.heappush(self._later, (_due_at(eta.encode()), next(self._order), receipt))
        return True

    # Settling

    def _extend(self, receipts: Sequence[object]) -> list[bool]:
        answers: list[bool] = []
        for part in _parts(receipts):
            answers += [answer == 1 for answer in self._run(scripts.EXTEND, self._lease_ms, *part)]
        return answers

    def _hold_until(self, due: float, receipts: Sequence[bytes]) -> None:
        with self._changing:
            for receipt in receipts:
                if receipt in self._held:
                    heapq.heappush(self._later, (due, next(self._order), receipt))
                    self._held[receipt].delivery.delivery_count += 1

    def _give_back(self, receipts: Sequence[bytes], way: str, *, marked: bool = False) -> None:
        """Put messages back into their lists, at the end that *way* names; *marked* as delivered before."""
        if way == _FIRST:
            receipts = receipts[::-1]  # the last one that is added comes first
        for part in _parts(receipts):
            arguments: list[Any] = []
            for receipt in cast("Sequence[bytes]", part):
                held = self._held.get(receipt)
                if held is not None:
                    data = held.delivery.data
                    arguments += [receipt, held.name, again(data) if marked else data]
            if arguments:
                self._run(scripts.GIVE_BACK, way, *arguments)
            self._forget(part)

    def _that_came_before(self, receipts: Sequence[bytes]) -> list[bytes]:
        held = [(receipt, self._held.get(receipt)) for receipt in receipts]
        return [receipt for receipt, each in held if each is not None and each.delivery.delivery_count > 1]

    def _without_parts(self, begun: Sequence[bytes]) -> list[bytes]:
        """Return those of *begun* that are of no group, and end the leases of the others: see `restore_lost`."""
        parts = [
            receipt
            for receipt in begun
            if (held := self._held.get(receipt)) and is_of_group(held.delivery.data)
        ]
        for some in _parts(parts):
            self._run(scripts.LAPSE, *some)
            self._forget(some)
        return [receipt for receipt in begun if receipt in self._held]

    def _forget(self, receipts: Sequence[object]) -> None:
        with self._changing:
            for receipt in receipts:
                self._held.pop(cast("bytes", receipt), None)

    def _run(self, script: Script, *arguments: Any) -> Any:
        return self._client.run_on(script, self._driver.layout.holding, *arguments)


def _parts(receipts: Sequence[object]) -> list[Sequence[object]]:
    """Return *receipts* in parts: a script holds up the server for as long as it runs."""
    return [receipts[start : start + _MOST_RECEIPTS] for start in range(0, len(receipts), _MOST_RECEIPTS)]


def _due_at(eta: bytes) -> float:
    """Return the time of an ETA; 0 for none, and for one that only the application can read."""
    try:
        moment = datetime.fromisoformat(eta.decode())
    except ValueError:
        return 0.0
    return moment.timestamp() if moment.tzinfo is not None else 0.0


def _delivery(receipt: bytes, tag: bytes, raw: bytes, number: int, came_before: int) -> Delivery:
    return Delivery(
        tag.decode(errors="replace"),
        raw,
        CONTENT_TYPE,
        {},
        receipt,
        2 if came_before else 1,
        "",
        number,
    )
