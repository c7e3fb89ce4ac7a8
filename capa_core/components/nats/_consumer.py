"""Consumers of NATS pub/sub: members of a group, and listeners of a broadcast.

JetStream has one lease time for a consumer, and a delay for each rejected message. So a lease is a rejection with the
length of the lease as its delay: an acknowledgement before its end is taken all the same, and a new rejection extends
it. The server does not tell that a lease is over; the clock does, counted here from before the lease was asked for.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nats import errors
from nats.aio.msg import Msg

from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery
from capa_core.clocks import boot_time
from capa_core.components.nats import _messages
from capa_core.components.nats._connection import Connection
from capa_core.components.nats._names import Names
from capa_core.components.nats._puller import GoneError, Puller, settle_all
from capa_core.components.nats._streams import NANOSECONDS, Place

if TYPE_CHECKING:
    from capa_core.components.nats.pubsub import NatsPubSub

_LONGEST_REQUEST_S = 5.0
"""The server may forget a request that meets the deletion of its consumer, and tell nobody: the next one finds out."""
ACK = b"+ACK"
_NAK, _ALIVE = b"-NAK", b"+WPI"


@dataclass(slots=True, eq=False)
class Receipt:
    """One delivery, and its own receipt.

    Attributes:
        reply: The subject on which it is settled.
        number: The message's in its stream.
        deliveries: As the server counts them.
        uncounted: How many of these do not count.
        until: The end of its lease, by `boot_time`.
    """

    reply: str
    number: int
    deliveries: int
    stored_at: float
    until: float
    uncounted: int = 0

    @property
    def count(self) -> int:
        """The number of the delivery."""
        return max(1, self.deliveries - self.uncounted)


Pulled = tuple[Receipt, Msg]


class Member(ConsumerDriver):
    """One consumer of a group."""

    def __init__(self, driver: NatsPubSub, names: Names, group: str, lease_s: float) -> None:
        self._driver = driver
        self._names = names
        self._group = group
        self._lease_s = lease_s
        self._asked_s = min(lease_s, self.silence_s)
        self._receiving = threading.Lock()
        self._changing = threading.Lock()
        self._held: set[Receipt] = set()
        self._puller: Puller | None = None
        self._closed = False
        self.place = self._join()

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        end = time.monotonic() + timeout_s
        with self._receiving:
            while not self._closed:
                left_s = max(0.0, end - time.monotonic())
                found: list[Delivery] = []
                try:
                    found = self._received(max_messages, min(left_s, _LONGEST_REQUEST_S))
                except GoneError:
                    self._rejoin()
                if found or time.monotonic() >= end:
                    return found
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        if taken := self._take(receipts):
            self._settle(taken, ACK)
            self._driver.seen.acked(self.place, taken)

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        if taken := self._take(receipts):
            self._settle(taken, _later(delay_s) if delay_s else _NAK)
            self._driver.seen.returned(self.place, taken, is_ready=not delay_s)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        taken = self._take(receipts)
        if not taken:
            return
        for receipt in taken:
            receipt.uncounted += 1
        uncounted = {receipt.number: receipt.uncounted for receipt in taken}
        try:
            self._driver.link.call(
                lambda connection: self._driver.notes.note(connection, self.place, uncounted)
            )
        except BaseException:
            self._put_back(taken)
            for receipt in taken:
                receipt.uncounted -= 1
            raise
        self._settle(taken, _NAK)
        self._driver.seen.returned(self.place, taken, is_ready=True)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        now = boot_time()
        with self._changing:
            ours = [receipt for receipt in self._held.intersection(receipts) if receipt.until > now]
        if ours:
            self._send(ours, self._lease_word())
        with self._changing:
            kept = self._held.intersection(ours)
            for receipt in kept:
                receipt.until = now + self._lease_s
        return [receipt in kept for receipt in receipts]

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        puller = self._puller
        if puller is not None:
            with suppress(errors.Error):  # a lost connection has ended the request
                puller.connection.call(puller.stop)
        with self._receiving:
            if puller is not None:
                with suppress(errors.Error):
                    self._hold(puller.connection.call(puller.leave), boot_time())
            self._leave()

    def held(self) -> list[Receipt]:
        """Return the deliveries that it holds."""
        with self._changing:
            return list(self._held)

    def forget(self, receipts: Iterable[Receipt]) -> None:
        """Hold *receipts* no more: their messages were removed."""
        with self._changing:
            self._held.difference_update(receipts)

    # --- parts

    def _join(self) -> Place:
        return self._driver.streams.join(self._names, self._group, self._asked_s)

    def _rejoin(self) -> None:
        """Make the consumer anew, which somebody deleted: what it held is lost."""
        with self._changing:
            self._held.clear()
        self._puller = None
        self.place = self._join()

    def _leave(self) -> None:
        self.release(self.held())

    def _lease_word(self) -> bytes:
        return _ALIVE if self._asked_s == self.place.ack_wait_s else _later(self._asked_s)

    def _received(self, most: int, timeout_s: float) -> list[Delivery]:
        connection = self._driver.link.connection()
        pulled: list[Pulled] = connection.exchange(
            lambda answer: self._ask(connection, most, timeout_s, answer), wait_s=timeout_s
        )
        if self._closed:  # whoever closes it gives back what it holds
            return []
        return [
            _messages.delivery(message.headers, message.data, receipt, receipt.count, receipt.stored_at)
            for receipt, message in pulled
        ]

    # --- in the connection's thread

    async def _ask(
        self, connection: Connection, most: int, timeout_s: float, answer: Future[list[Pulled]]
    ) -> None:
        """Ask for messages; *answer* gets them, held, with the receipt of each."""
        if self._puller is None or self._puller.connection is not connection:
            self._puller = Puller(connection, self.place, self._driver.link.prefix)
            if self._closed:
                answer.set_result([])
                return
        began = boot_time()

        def pass_on(messages: list[Msg], error: Exception | None) -> None:
            receipts = self._hold(messages, max(began, connection.seen_at))
            if answer.done():
                return
            pulled = list(zip(receipts, messages, strict=True))
            if error is not None:
                answer.set_exception(error)
            elif self._is_complete(receipts):
                answer.set_result(pulled)
            else:
                connection.pass_on(self._completed(connection, pulled), answer)

        await self._puller.ask(most, timeout_s, pass_on)

    def _is_complete(self, receipts: Sequence[Receipt]) -> bool:
        """Return whether nothing more is to be asked or told about what has come."""
        return self._asked_s == self.place.ack_wait_s and all(each.deliveries == 1 for each in receipts)

    async def _completed(self, connection: Connection, pulled: list[Pulled]) -> list[Pulled]:
        """Begin the leases of messages, and count their deliveries."""
        if self._asked_s != self.place.ack_wait_s:
            for receipt, _ in pulled:
                await connection.client.publish(receipt.reply, self._lease_word())
        again = [receipt for receipt, _ in pulled if receipt.deliveries > 1]
        if again:
            numbers = [receipt.number for receipt in again]
            found = await self._driver.notes.uncounted(connection, self.place, numbers)
            for receipt, uncounted in zip(again, found, strict=True):
                receipt.uncounted = uncounted
        return pulled

    # --- in any thread

    def _hold(self, messages: Iterable[Msg], since: float) -> list[Receipt]:
        receipts = [_receipt(message.reply, since + self._lease_s) for message in messages]
        with self._changing:
            self._held.update(receipts)
        return receipts

    def _take(self, receipts: Sequence[object]) -> list[Receipt]:
        """Return those of *receipts* that are held and whose leases last; none of *receipts* is held from now on."""
        now = boot_time()
        with self._changing:
            ours = [each for each in receipts if isinstance(each, Receipt) and each in self._held]
            self._held.difference_update(ours)
        return [receipt for receipt in ours if receipt.until > now]

    def _put_back(self, receipts: Iterable[Receipt]) -> None:
        with self._changing:
            self._held.update(receipts)

    def _settle(self, taken: list[Receipt], word: bytes) -> None:
        """Send *word* for messages that `_take` returned; they are held again if it is not known to have arrived."""
        try:
            self._send(taken, word)
        except BaseException:
            self._put_back(taken)
            raise

    def _send(self, receipts: list[Receipt], word: bytes) -> None:
        try:
            self._driver.link.exchange(settle_all([receipt.reply for receipt in receipts], word))
        except errors.NoRespondersError:  # the consumer is not there: its messages are lost, as after a lease
            self.forget(receipts)


class Listener(Member):
    """The consumer of a broadcast, whose group is its own.

    The server keeps a silent consumer for as long as a lease of its lasts. So it asks for no longer ones than it may be
    silent, and renews those that last longer with each sign of life.
    """

    def __init__(self, driver: NatsPubSub, names: Names, group: str, lease_s: float) -> None:
        self.silence_s = driver.settings.abandoned_s
        self._sign_at = boot_time()
        super().__init__(driver, names, group, lease_s)

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        self._drop_if_silent()
        if self._is_over:
            self._rejoin()
        try:
            return super().receive(max_messages, timeout_s)
        finally:
            self._sign_at = boot_time()

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        self._drop_if_silent()
        extended = super().extend(receipts)
        if not self._is_over:
            self._driver.link.call(self._show_life)
            self._sign_at = boot_time()
        return extended

    def _take(self, receipts: Sequence[object]) -> list[Receipt]:
        self._drop_if_silent()
        return super()._take(receipts)

    def _drop_if_silent(self) -> None:
        """Lose what it holds, if it was silent for so long that the server may have dropped it."""
        if boot_time() - self._sign_at > self.silence_s:
            self._is_over = True
            with self._changing:
                self._held.clear()

    def _is_complete(self, receipts: Sequence[Receipt]) -> bool:
        del receipts
        return False

    async def _completed(self, connection: Connection, pulled: list[Pulled]) -> list[Pulled]:
        completed = await super()._completed(connection, pulled)
        await self._show_life(connection)  # to the server it was silent while it waited
        return completed

    async def _show_life(self, connection: Connection) -> None:
        """Acknowledge nothing, which is a sign of life without a request for messages; and renew leases."""
        now = boot_time()
        if self._asked_s < self._lease_s:
            for receipt in self.held():
                if receipt.until > now:
                    await connection.client.publish(receipt.reply, self._lease_word())
        await connection.client.publish(self.place.reply(0), _ALIVE)

    def _join(self) -> Place:
        self._is_over = False
        return self._driver.streams.listen(self._names, self._group, self._asked_s, self.silence_s)

    def _rejoin(self) -> None:
        super()._rejoin()
        self.rejoins += 1

    def _leave(self) -> None:
        self._held.clear()
        self._driver.streams.leave(self.place)


def _receipt(reply: str, until: float) -> Receipt:
    """Return the receipt of a delivery by the subject on which it is settled, which has its numbers.

    $JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<deliveries>.<number>.<of the consumer>.<stored at>.<pending>
    """
    words = reply.split(".")
    at = 4 if len(words) == 9 else 6
    return Receipt(reply, int(words[at + 1]), int(words[at]), int(words[at + 3]) / NANOSECONDS, until)


def _later(delay_s: float) -> bytes:
    return _NAK + b" " + json.dumps({"delay": math.ceil(delay_s * NANOSECONDS)}).encode()
