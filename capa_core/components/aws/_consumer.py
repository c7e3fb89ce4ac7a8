"""Consumers of the queue of a group, and of a broadcast's own."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery
from capa_core.clocks import boot_time
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._held import Held, room_s
from capa_core.components.aws._messages import SYSTEM_ATTRIBUTES, Pulled, again, pulled
from capa_core.components.aws._names import Names
from capa_core.components.aws._sender import AT_ONCE, is_gone
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_core.components.aws.sqs import SqsPubSub

_SIGNS_OF_LIFE = 3
_LOOK_EVERY_S = 0.1
_LOOK_OF_LEASE = 0.5
"""The part of a lease that one look may take."""
_ALMOST_S = 0.25  # a look of a whole second for the last three quarters of one


class SqsConsumer(ConsumerDriver):
    """One consumer of one queue. SQS is asked in the caller's thread: nothing comes that nobody waits for."""

    def __init__(self, driver: SqsPubSub, names: Names, group: str, lease_s: float) -> None:
        self._driver = driver
        self._names = names
        self._group = group
        self._lease_s = math.ceil(lease_s)
        self._closed = threading.Event()
        self._receiving = threading.Lock()
        self._held = Held()
        self._early: list[tuple[float, int, Pulled]] = []
        self._numbers = itertools.count()
        self.url = self._join()

    def held(self) -> list[Pulled]:
        """Return the messages that it holds now."""
        return self._held.all()

    def drop_held(self) -> None:
        """Hold nothing any more: its queue was emptied."""
        self._held.clear()
        self._early.clear()

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        end = time.monotonic() + timeout_s
        with self._receiving:
            while not self._closed.is_set():
                self._show_life()
                ready = self._receive(max_messages, end)
                if ready and self._closed.is_set():
                    self._return(ready, 0.0, spent=0)
                elif ready:
                    return [one.delivery() for one in ready]
                if time.monotonic() >= end:
                    break
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        taken = self._held.take(receipts)
        self._settle("DeleteMessageBatch", taken, {})
        self._driver.delete_bodies(taken)

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        self._return(self._held.take(receipts), delay_s, spent=1)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        self._return(self._held.take(receipts), 0.0, spent=0)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`: a message that SQS has hidden for 12 h since its delivery is lost."""
        self._show_life()
        alive = self._held.alive(receipts)
        ours = [one for one, is_ours in zip(receipts, alive, strict=True) if is_ours]
        self._hide([one for one in ours if isinstance(one, Pulled)])
        return self._held.alive(receipts)

    def close(self) -> None:
        """See `ConsumerDriver.close`: waits for a look at SQS that has begun, up to `poll_s`."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._receiving:
            self._leave()

    # --- a broadcast's own differ in these

    def _join(self) -> str:
        return self._driver.join(self._names, self._group)

    def _join_again(self) -> None:
        """Have the queue anew, which an operator deleted."""
        self._driver.forget_topic(self._names)
        self.url = self._join()

    def _show_life(self) -> None:
        """Tell others that it is there, if they cannot see it otherwise."""

    def _leave(self) -> None:
        held = self._held.all()
        self._return(self._held.take(held), 0.0, spent=0)

    # --- receiving

    def _receive(self, most: int, end: float) -> list[Pulled]:
        """Return messages that are due, after one look at SQS unless there are any."""
        ready = self._due(most)
        if ready:
            return ready
        until = min(end, self._early[0][0]) if self._early else end
        left_s = until - time.monotonic()
        # A look takes a part of the leases of what it finds: SQS does not tell when in it a message came.
        longest_s = min(self._driver.settings.poll_s, int(self._lease_s * _LOOK_OF_LEASE))
        wait_s = min(longest_s, max(0, int(left_s + _ALMOST_S)))
        ready, may_be_more = self._look(most, wait_s)
        while may_be_more and len(ready) < most:
            more, may_be_more = self._look(most - len(ready), 0)
            ready += more
        if not ready and not wait_s and left_s > 0:
            self._closed.wait(min(left_s, _LOOK_EVERY_S))
        return ready or self._due(most)

    def _look(self, most: int, wait_s: int) -> tuple[list[Pulled], bool]:
        """Return messages of one request, and whether there may be more now."""
        # A batch of a FIFO queue may hold several of one key, of which the later ones would count as delivered.
        count = 1 if self._driver.settings.is_fifo else min(AT_ONCE, most)
        asked_at = boot_time()
        try:
            found = self._driver.fetch(self.url, count, wait_s, self._lease_s)
        except AwsError as error:
            if not error.is_missing:
                raise
            self._held.clear()
            self._join_again()
            return [], False
        self._held.begin(found, asked_at, self._lease_s)
        is_late = boot_time() - asked_at > self._lease_s * _LOOK_OF_LEASE + _ALMOST_S
        return self._admitted(found, is_late=is_late), len(found) == count and not is_late

    def _still_ours(self, found: list[Pulled]) -> list[Pulled]:
        """Return those of *found*, whose answer was slow, that are ours still, with leases from now."""
        lost = [one for one, is_ours in zip(found, self._held.alive(found), strict=True) if not is_ours]
        self._held.lose(lost)
        return self._renewed([one for one in found if one not in lost])

    def _renewed(self, ours: list[Pulled]) -> list[Pulled]:
        """Begin the leases of *ours* anew, and return those that SQS still knows as ours."""
        self._hide(ours)
        alive = self._held.alive(ours)
        return [one for one, is_ours in zip(ours, alive, strict=True) if is_ours]

    def _admitted(self, found: list[Pulled], *, is_late: bool) -> list[Pulled]:
        """Return those of *found* that are due and have a body; the others are led on their way, or given back."""
        try:
            found = self._still_ours(found) if is_late else found
            far = [one for one in found if one.wait_s >= 1]
            self._copy(far, 0.0, spent=0)
            self._held.lose(far)
            now = time.monotonic()
            for one in found:
                if 0 < one.wait_s < 1:
                    heapq.heappush(self._early, (now + one.wait_s, next(self._numbers), one))
            return self._with_bodies([one for one in found if one.wait_s <= 0])
        except BaseException:
            # Nobody will ever see them: without this they would be hidden until their leases end.
            self._visible(self._held.take(found), 0)
            raise

    def _due(self, most: int) -> list[Pulled]:
        """Return messages whose last part of a second is over, with leases from now."""
        due: list[Pulled] = []
        while self._early and len(due) < most and self._early[0][0] <= time.monotonic():
            due.append(heapq.heappop(self._early)[2])
        if not due:
            return []
        for one in due:
            one.wait_s = 0.0
        return self._with_bodies(self._renewed(due))

    def _with_bodies(self, found: list[Pulled]) -> list[Pulled]:
        whole = [one for one in found if not one.stored or self._driver.read_body(one)]
        lost = [one for one in found if one not in whole] if len(whole) < len(found) else []
        if lost:
            self._driver.bury(self._names, self._group, lost)
            self._settle("DeleteMessageBatch", self._held.take(lost), {})
        return whole

    # --- settling

    def _return(self, taken: list[Pulled], delay_s: float, *, spent: int) -> None:
        """Give *taken* back: hidden by SQS where it counts and measures right, else as copies.

        A copy is stored first, so that a crash between makes a duplicate, no loss.
        """
        is_fifo = self._driver.settings.is_fifo  # there a copy would change the order
        if is_fifo and 0 < delay_s < 1:
            self._keep(taken, delay_s)
            return
        if is_fifo or (spent and (not delay_s or 1 <= delay_s < min(map(room_s, taken), default=0))):
            self._visible(taken, delay_s)
            if not spent:
                self._driver.uncounted(taken)
            return
        try:
            self._copy(taken, delay_s, spent=spent)
        except BaseException:
            self._held.put_back(taken)
            raise

    def _keep(self, taken: list[Pulled], delay_s: float) -> None:
        """Hold *taken* for a part of a second, which SQS cannot, and deliver them once more."""
        self._driver.uncounted(taken, -1)
        due = time.monotonic() + delay_s
        for one in taken:
            kept = replace(one, deliveries=one.deliveries + 1)
            self._held.put_back([kept])
            heapq.heappush(self._early, (due, next(self._numbers), kept))

    def _copy(self, taken: list[Pulled], wait_s: float, *, spent: int) -> None:
        self._driver.sender.copy(self.url, [again(one, wait_s=wait_s, spent=spent) for one in taken])
        self._settle("DeleteMessageBatch", taken, {})

    def _visible(self, taken: list[Pulled], delay_s: float) -> None:
        """Have SQS show *taken* again after *delay_s*, in whole seconds and within its 12 h."""
        by_delay: dict[int, list[Pulled]] = {}
        for one in taken:
            by_delay.setdefault(max(0, math.ceil(min(delay_s, room_s(one) - 1))), []).append(one)
        for whole_s, group in by_delay.items():
            self._settle("ChangeMessageVisibilityBatch", group, {"VisibilityTimeout": whole_s})

    def _hide(self, ours: list[Pulled]) -> None:
        """Begin the leases of *ours* anew; those that SQS knows no more are lost."""
        asked_at = boot_time()
        lost = [one for one in ours if room_s(one) < 1]
        left = [one for one in ours if room_s(one) >= 1]
        for start in range(0, len(left), AT_ONCE):
            part = left[start : start + AT_ONCE]
            entries = [
                {
                    "ReceiptHandle": one.handle,
                    "VisibilityTimeout": math.floor(min(self._lease_s, room_s(one))),
                }
                for one in part
            ]
            errors = self._driver.sender.each("ChangeMessageVisibilityBatch", self.url, entries)
            lost += [one for one, error in zip(part, errors, strict=True) if error is not None]
        self._held.lose(lost)
        self._held.extend(left, asked_at, self._lease_s)

    def _settle(self, action: str, taken: Sequence[Pulled], more: dict[str, Any]) -> None:
        """Call *action* for *taken*; those that are not settled are held again, and a repeat may settle them."""
        for start in range(0, len(taken), AT_ONCE):
            part = taken[start : start + AT_ONCE]
            entries = [{"ReceiptHandle": one.handle, **more} for one in part]
            try:
                errors = self._driver.sender.each(action, self.url, entries)
            except BaseException:
                self._held.put_back(taken[start:])
                raise
            self._raise(part, errors)

    def _raise(self, part: Sequence[Pulled], errors: Iterable[CapaError | None]) -> None:
        failed = [
            (one, error)
            for one, error in zip(part, errors, strict=True)
            if error is not None and not is_gone(error)
        ]
        self._held.put_back(one for one, _ in failed)
        for _, error in failed:
            raise error


class SqsListener(SqsConsumer):
    """The consumer of a broadcast: the queue is its own, and ends with it."""

    def __init__(self, driver: SqsPubSub, names: Names, group: str, lease_s: float) -> None:
        self.silence_s = driver.settings.abandoned_s
        self._next_sign = time.monotonic() + self.silence_s / _SIGNS_OF_LIFE
        super().__init__(driver, names, group, lease_s)

    def _join(self) -> str:
        return self._driver.join_listener(self._names, self._group, self.rejoins + 1)

    def _join_again(self) -> None:
        """Be a new consumer: its queue was deleted, as it was taken for dead."""
        self._early.clear()
        self.rejoins += 1
        self.url = self._join()

    def _show_life(self) -> None:
        if time.monotonic() < self._next_sign or self._closed.is_set():
            return
        try:
            self._driver.queues.show_life(self.url)
        except AwsError as error:
            if not error.is_missing:
                raise
            self._held.clear()  # `receive` finds it out too, and joins again
        self._next_sign = time.monotonic() + self.silence_s / _SIGNS_OF_LIFE

    def _leave(self) -> None:
        self._held.clear()
        self._driver.leave(self._names, self.url)


def fetched(driver: SqsPubSub, url: str, count: int, wait_s: int, hidden_s: int) -> list[Pulled]:
    """Return the messages of one request, hidden from others for *hidden_s*."""
    answer = driver.connections.call(
        "sqs",
        "ReceiveMessage",
        url,
        waits_s=driver.settings.poll_s,
        QueueUrl=url,
        MaxNumberOfMessages=count,
        WaitTimeSeconds=wait_s,
        VisibilityTimeout=hidden_s,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=list(SYSTEM_ATTRIBUTES),
    )
    now = driver.connections.now()
    return [pulled(raw, now) for raw in answer.get("Messages", ())]
