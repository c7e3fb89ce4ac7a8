"""One member of a Kafka group in one topic, or a reader of its partitions: a client of librdkafka and its thread.

A client serves one call at a time, and a call that waits cannot be woken. So one thread makes all of them: it polls,
which keeps the membership alive however long its user works, and runs in between what other threads ask for. So that
a commit does not wait, it polls for moments only while a record is being worked on, and seldom while many are ready.

librdkafka calls `_revoked` inside a poll and gives the partitions away when that returns. Until their records are
committed, or the session of the user is over, the thread stays there and runs commits. A member whose user neither
polls nor works on records then leaves the group: what comes to its other partitions would wait for it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from capa_core.blocks.log.driver import Commit, Partition, Record
from capa_core.components.kafka._client import Trouble, leak, open_client
from capa_core.components.kafka._errors import EXPELLED, REBALANCING, error_in, refusal
from capa_core.components.kafka._shares import Share, Shares
from capa_core.errors import ClosedError, ConflictError, DeadlineError
from capa_core.supervision import SupervisedThread

T = TypeVar("T")

_WAIT_S = 0.03
"""How long a poll waits, and so a request while nothing is worked on; and how long there is none at most."""
_MOMENT_S = 0.005
_NEXT_S = 0.001
"""Not 0: what is called inside a poll that does not wait counts as time without a poll, for `max.poll.interval.ms`."""
BATCH = 500
"""When fewer records are ready for the user, so many are taken from the client at once."""
_ROOM = 2_000
"""When so many are ready, they are taken from the client one by one: each poll may return one."""
_MOST = 2 * _ROOM
"""When so many are ready the partitions rest, by which the client drops what it has fetched itself."""
_RETRY_S = 0.02
_CLOSE_S = 5.0


class Member:
    """The thread that makes the calls of one client.

    Args:
        settings: Options of the client, with the group.
        topic: The topic, and *name* Kafka's name of it.
        shares: Where partitions and records go.
        offsets: Where to read the partitions without a group; `None` joins the group.
        yield_s: As for `LogDriver.consume`.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        topic: str,
        name: str,
        shares: Shares,
        *,
        offsets: Mapping[Partition, int] | None = None,
        yield_s: float | None = None,
        within_s: float = 5.0,
    ) -> None:
        self.topic = topic
        self.trouble = Trouble(settings["bootstrap.servers"])
        self.failure: KafkaError | None = None
        self._name = name
        self._shares = shares
        self._offsets = offsets
        self._yield_s = yield_s
        self._within_s = within_s
        self._requests: deque[Callable[[], None]] = deque()
        self._asked = threading.Event()
        self._calling = threading.RLock()  # held in calls that take time, and while requests are run
        self._joined = False
        self._gives_way = False
        self._has_more = False
        self._polled = 0.0
        self._partitions: dict[int, Partition] = {}
        self._client: Consumer = open_client(Consumer, {**settings, "error_cb": self.trouble})
        self._thread = SupervisedThread(f"capa-kafka-{topic}", self._work, stopping=lambda: shares.closing)
        _OPEN.add(self)
        self._thread.start()

    # For other threads

    def ask(self, request: Callable[[Consumer], T]) -> T:
        """Return what *request* returns, which the thread calls with the client.

        Raises:
            DeadlineError: It has not been called, or has not returned, in time.
        """
        answer = self.tell(request)
        try:
            return answer.result(self._within_s)
        except TimeoutError:
            if answer.done():  # its own
                raise
            raise DeadlineError(f"Kafka did not answer within {self._within_s} s") from None

    def tell(self, request: Callable[[Consumer], T]) -> Future[T]:
        """As `ask`, without waiting."""
        answer: Future[T] = Future()

        def run() -> None:
            try:
                answer.set_result(request(self._client))
            except Exception as error:  # noqa: BLE001 - it is the asker's
                answer.set_exception(error)

        if not self._thread.is_alive():
            raise ClosedError("the consumer is closed")
        self._requests.append(run)
        self._asked.set()
        return answer

    def commit(self, offsets: Mapping[Partition, Commit], *, wait: bool) -> None:
        """Commit *offsets* of the topic.

        Raises:
            ConflictError: The group goes on without this member, whose partitions are lost.
        """
        natives = [
            TopicPartition(self._name, partition.number, commit.offset, commit.note)
            for partition, commit in offsets.items()
        ]
        if not wait:
            self._send(natives)
            return
        end = time.monotonic() + self._within_s
        while (code := self._commit(natives)) is not None:
            if code in EXPELLED or time.monotonic() > end:
                self._shares.drop(self._shares.of_topic(self.topic))
                raise ConflictError(f"topic {self.topic!r}: the group has gone on without this consumer")
            self._check_held(offsets)
            time.sleep(_RETRY_S)

    def _send(self, natives: Collection[TopicPartition]) -> None:
        """Commit without waiting: at once, if the thread is in no call and nothing older is to come first."""
        if not self._calling.acquire(blocking=False):
            self.tell(lambda client: client.commit(offsets=natives, asynchronous=True))
            return
        try:
            if self._requests or self._shares.closing:
                self.tell(lambda client: client.commit(offsets=natives, asynchronous=True))
            else:
                self._client.commit(offsets=natives, asynchronous=True)
        finally:
            self._calling.release()

    def _commit(self, natives: Collection[TopicPartition]) -> int | None:
        """Commit once; return the code of an error by which the group is another than this member knows."""
        try:
            done = self.ask(lambda client: client.commit(offsets=natives, asynchronous=False))
        except KafkaException as error:
            code: int = error_in(error).code()
            if code in EXPELLED | REBALANCING:
                return code
            raise
        for each in done:
            if each.error is not None:
                raise refusal(each.error, f"topic {self.topic!r}")
        return None

    def wake(self) -> None:
        """Have the thread look at the shares."""
        self._asked.set()

    def close(self) -> None:
        """Leave the group and close the client, once `Shares.closing` is set."""
        self._asked.set()
        self._thread.join(_CLOSE_S + self._within_s)

    def _check_held(self, partitions: Collection[Partition]) -> None:
        with self._shares.changed:
            for partition in partitions:
                self._shares.get(partition)

    # The thread

    def _work(self) -> None:
        if self._offsets is not None and not self._joined:
            self._assign(self._offsets)
        while not self._shares.closing:
            self._run_requests()
            if self._offsets is None:
                self._join_or_leave()
            self._fetch()
        with self._calling:
            self._run_requests()
            if self._offsets is None:
                self._leave()
            self._client.close()
        _OPEN.discard(self)

    def _run_requests(self) -> None:
        self._asked.clear()
        with self._calling:
            while self._requests:
                self._requests.popleft()()

    def _assign(self, offsets: Mapping[Partition, int]) -> None:
        self._client.assign([TopicPartition(self._name, each.number, at) for each, at in offsets.items()])
        self._partitions = {each.number: each for each in offsets}
        self._joined = True
        self._shares.join(self.topic)

    def _join_or_leave(self) -> None:
        stale = self._shares.is_stale()
        if not stale and not self._joined and self._shares.is_polling:
            self._client.subscribe(
                [self._name], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            self._joined = True
        elif self._joined and (stale or self._gives_way or self._is_forfeit()):
            self._client.unsubscribe()
            self._joined = False
            self._shares.leave(self.topic)
        self._gives_way = False

    def _leave(self) -> None:
        """Leave the group: a client that is closed while it joins would not, and all would wait for its session."""
        end = time.monotonic() + _CLOSE_S
        if self._joined:
            self._poll_until(lambda: bool(self._client.memberid()), end)
            self._client.unsubscribe()
        self._poll_until(lambda: not self._client.memberid(), end)

    def _poll_until(self, holds: Callable[[], bool], end: float) -> None:
        while not holds() and self.trouble.error is None and time.monotonic() < end:
            self._client.poll(_MOMENT_S)

    def _is_forfeit(self) -> bool:
        """Return whether the user has lost partitions that are still assigned here."""
        return bool(self._partitions) and not self._shares.has_any(self._partitions.values())

    def _fetch(self) -> None:
        shares = self._shares.of_topic(self.topic)
        self._seek(shares)
        ready = self._shares.ready(self.topic)
        self._rest(shares, ready)
        is_busy = self._offsets is None and (
            bool(ready) or any(share.is_open or share.seeks for share in shares.values())
        )
        rest_s = self._rest_s(ready, is_busy=is_busy)
        if rest_s <= 0 or not self._asked.wait(rest_s):
            with self._calling:
                self._poll(_NEXT_S if is_busy else _WAIT_S, most=BATCH if ready < _ROOM else 1)

    def _rest_s(self, ready: int, *, is_busy: bool) -> float:
        """Return for how long only requests are served before the next poll."""
        next_s = self._polled + _WAIT_S - time.monotonic()
        if ready >= BATCH:
            return next_s
        return min(_MOMENT_S, next_s) if is_busy and not self._has_more else 0.0

    def _poll(self, wait_s: float, *, most: int) -> None:
        first = self._client.poll(wait_s)
        self._polled = time.monotonic()
        more = 0 if first is None else min(most - 1, self._behind(first))
        self._has_more = more == BATCH - 1
        if first is not None:
            self._take([first, *self._client.consume(more, _NEXT_S)] if more else [first])

    def _behind(self, message: Message) -> int:
        """Return how many records of its partition come after *message*, as far as the client knows.

        To ask for more than there are would be to wait for them.
        """
        if message.error() is not None:
            return 0
        partition = TopicPartition(self._name, message.partition())
        at: int = message.offset()
        end: int = self._client.get_watermark_offsets(partition, cached=True)[1]
        return max(0, end - 1 - at)

    def _rest(self, shares: Mapping[Partition, Share], ready: int) -> None:
        for partition, share in shares.items():
            is_full = ready >= (_ROOM if share.rests else _MOST)
            rests = is_full or (share.paused and bool(share.fetched))
            if rests != share.rests:
                (self._client.pause if rests else self._client.resume)([self._native(partition)])
                share.rests = rests

    def _seek(self, shares: Mapping[Partition, Share]) -> None:
        for partition, share in shares.items():
            with self._shares.changed:
                if not share.seeks or share.position is None:
                    continue
                to = share.position
            try:
                self._client.seek(self._native(partition, to))
            except KafkaException:  # it has just been assigned: soon
                continue
            with self._shares.changed:
                share.seeks = share.position != to

    def _take(self, messages: Collection[Message]) -> None:
        found: dict[int, list[Record]] = {}
        ends: list[int] = []
        for message in messages:
            error = message.error()
            number = message.partition()
            if error is None:
                partition = self._partitions.get(number)
                if partition is not None:
                    found.setdefault(number, []).append(_record(partition, message))
            elif error.code() == KafkaError._PARTITION_EOF:
                ends.append(number)
            else:
                self.failure = error
        for number, records in found.items():
            self._shares.put(self._partitions[number], records)
        for number in ends:
            if number in self._partitions:
                self._shares.reach_end(self._partitions[number])
        if found:
            self.trouble.error = self.failure = None

    def _native(self, partition: Partition, offset: int = 0) -> TopicPartition:
        return TopicPartition(self._name, partition.number, offset)

    # Called by librdkafka inside a poll, on the thread

    def _assigned(self, _client: Consumer, natives: list[TopicPartition]) -> None:
        new = {native.partition: Partition(self.topic, native.partition) for native in natives}
        self._partitions |= new
        self._shares.add(new.values())
        self._shares.join(self.topic)
        self.trouble.error = None

    def _revoked(self, client: Consumer, natives: list[TopicPartition]) -> None:
        partitions = self._forgotten(client, natives)
        if self._joined and not self._shares.closing:
            self._shares.want(partitions)
            self._wait_for(partitions)
            self._gives_way = self._shares.rests(self.topic)
        self._shares.drop(partitions)

    def _lost(self, client: Consumer, natives: list[TopicPartition]) -> None:
        self._shares.drop(self._forgotten(client, natives))

    def _forgotten(self, client: Consumer, natives: list[TopicPartition]) -> list[Partition]:
        client.resume(natives)  # or they would rest still when they come back
        found = (self._partitions.pop(native.partition, None) for native in natives)
        return [partition for partition in found if partition is not None]

    def _wait_for(self, partitions: Collection[Partition]) -> None:
        """Run requests until *partitions* are given up, or the session of the user is over."""
        end = time.monotonic() + self._yield_s if self._yield_s is not None else float("inf")
        while self._shares.has_any(partitions) and not self._shares.closing and not self._shares.is_stale():
            if time.monotonic() > end:
                break
            self._shares.drop_idle(partitions)
            self._asked.wait(_MOMENT_S)
            self._run_requests()

    def leave_to_parent(self) -> None:
        """Leave the client alone, in a forked child."""
        leak(self._client)


def _record(partition: Partition, message: Message) -> Record:
    key = message.key()
    headers = message.headers()
    return Record(
        partition,
        message.offset(),
        message.value() or b"",
        key,
        {name: value or b"" for name, value in headers} if headers else {},
        message.timestamp()[1] / 1000,
    )


_OPEN: set[Member] = set()


def forget_all() -> None:
    """Leave all clients to the parent, in a forked child."""
    for member in _OPEN:
        member.leave_to_parent()
    _OPEN.clear()
