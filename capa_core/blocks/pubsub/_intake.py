"""Intakes: receive messages as there is room for them, and hold their leases until they are settled.

Subscriptions use them, as do the workers and channels of adapters.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, Self

from capa_core.blocks.pubsub._checks import MOST_MESSAGES, Delays, check_messages
from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._leases import ACK, DEAD_LETTER, RELEASE, Leases, OnLost, Outcome, WorkedOn
from capa_core.blocks.pubsub._message import Message
from capa_core.call import cancellation
from capa_core.call.checks import seconds
from capa_core.call.traits import blocking, call_traits
from capa_core.clocks import boot_time
from capa_core.errors import ClosedError, InvalidArgumentError
from capa_core.supervision import SupervisedThread

Room = Callable[[], int]
HandOver = Callable[[list[Message]], object]

_RECEIVE_S = 1.0
_LOOK_FOR_ROOM_S = 1.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_REFUSED_S = 1.0


@blocking()
class Intake:
    """Messages of one topic for one group, leased from their arrival until they are settled. Made by `PubSub.intake`.

    A message that was received and not settled is *held*. While its holder works on it, its lease is renewed, so that
    no other consumer gets it however long that takes. To receive, call `receive` from one thread at a time (pull), or
    `start` once (push). All other methods may be called from any thread.

    `ack`, `nack`, `dead_letter` and `release` never raise an error of the engine: a settlement that it does not accept
    is sent again until it does, and the message stays leased. A message that is not held is ignored, as after a second
    `ack`.

    A lease is *lost* when the engine has given the message to another consumer, or when it was not worked on for a
    whole lease. The loss is logged and reported to `on_lost`; the message is no longer held and comes again. Where a
    lease may have run out unnoticed, as in a process that was suspended, the engine is asked before the message is
    settled.

    The two threads, receiver and renewer, log an exception that ends them and start again. Renewal ends with `close`,
    or when the intake is garbage. An intake belongs to the process that opened it, as a consumer does.
    """

    def __init__(
        self,
        consumer: Consumer,
        *,
        delays: Delays,
        lease_s: float,
        log: Any,
        worked_on: WorkedOn | None = None,
        on_lost: OnLost | None = None,
    ) -> None:
        self._consumer = consumer
        self._delays = delays
        self._longest_pause_s = min(_LONGEST_PAUSE_S, lease_s)  # what is lost comes back by then
        self._log = log.bind(topic=consumer.topic, group=consumer.group)
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._closing = threading.Lock()
        self._closed = False
        self._receiver: threading.Thread | None = None
        self._leases = Leases(
            consumer, lease_s, self._log, worked_on=worked_on, on_lost=on_lost, on_settled=self._woken.set
        )

    @property
    def topic(self) -> str:
        """The topic that it receives from."""
        return self._consumer.topic

    @property
    def group(self) -> str:
        """The group it is in; for a broadcast, the one of its own."""
        return self._consumer.group

    @property
    def renewal_s(self) -> float:
        """How often leases are renewed: three times within the lease, and every 10 s at least."""
        return self._leases.renewal_s

    @property
    def longest_delay_s(self) -> float:
        """The longest delay that `nack` accepts."""
        return self._delays.longest_s

    @property
    def thread(self) -> threading.Thread | None:
        """The thread that receives and passes on; `None` before `start`."""
        return self._receiver

    def __len__(self) -> int:
        """Return how many messages were received and not settled, those included that the engine has not accepted."""
        return len(self._leases)

    @call_traits(immediate=True)
    def held(self) -> list[Message]:
        """Return the messages that were neither settled nor lost.

        One whose lease may have run out, as while the engine is away, is listed again once the engine has extended it.
        """
        return self._leases.held()

    @call_traits(immediate=True)
    def lease_left_s(self, message: Message) -> float:
        """Return the seconds for which *message* is surely leased; 0 if it is not held, or may be another's by now.

        Ask before work on a message begins that waited in this process, which may have been suspended meanwhile.
        """
        return self._leases.left_s(message)

    @call_traits(waits=True, undo="release")
    def receive(self, max_messages: int = 1, timeout: timedelta | float = 1.0) -> list[Message]:
        """Return 1 to *max_messages* messages as soon as there are any, or none after *timeout*; they are held then.

        Raises:
            ClosedError: It was stopped or closed before.
            UnavailableError: The engine did not answer. Call again: nothing is lost.
        """
        if self._stopped.is_set():
            raise ClosedError(f"the intake of {self.topic!r} in {self.group!r} was stopped. Open another.")
        left_s = seconds("timeout", timeout, most=math.inf)
        end = time.monotonic() + left_s
        while True:
            # In short pieces: a lease is surely no older than the call that began it.
            since = boot_time()
            messages = self._consumer.receive(max_messages, min(left_s, self.renewal_s))
            if messages:
                return messages if self._leases.add(messages, since) else []
            left_s = max(0.0, end - time.monotonic())
            if not left_s or self._stopped.is_set() or cancellation.requested():
                return []

    @call_traits(immediate=True)
    def start(self, room: Room, hand_over: HandOver) -> None:
        """Begin to receive in a thread of its own, which goes on after the engine was away.

        Args:
            room: Returns how many more messages may be received now; must not wait. It is called again after each
                settlement, after each `wake`, and once a second.
            hand_over: Takes the messages; may wait. If it raises, that is logged and they come again after a second.

        Raises:
            InvalidArgumentError: It was started before.
        """
        if self._receiver is not None:
            raise InvalidArgumentError(
                f"the intake of {self.topic!r} in {self.group!r} was started before. Open another for other functions."
            )
        work = partial(self._feed, room, hand_over)
        self._receiver = SupervisedThread(
            f"capa-intake-{self.topic}", work, log=lambda: self._log, stopping=self._stopped.is_set
        )
        self._receiver.start()

    @call_traits(immediate=True)
    def wake(self) -> None:
        """Call *room* again now, after a change that the intake does not see."""
        self._woken.set()

    def ack(self, messages: Iterable[Message]) -> int:
        """Remove *messages* for this group, on disk where the engine can, and return how many of them were held.

        Raises:
            InvalidArgumentError: *messages* holds something else than messages. None was settled.
        """
        return self._leases.settle(check_messages("messages", messages), ACK)

    def nack(self, messages: Iterable[Message], delay: timedelta | float = 0.0) -> int:
        """Reject *messages*, to be redelivered after *delay*, and return how many of them were held.

        Those that were delivered `max_deliveries` times move to the dead letter topic instead.

        Raises:
            InvalidArgumentError: *messages* holds something else than messages, or *delay* is not a time, or over the
                component's `max_delay_s`. None was settled.
        """
        delay_s = self._delays.seconds("delay", delay)
        return self._leases.settle(check_messages("messages", messages), Outcome("nack", delay_s))

    def dead_letter(self, messages: Iterable[Message]) -> int:
        """Move *messages* to the dead letter topic now, and return how many of them were held.

        For messages that no later delivery can help; note the reason of each by `Message.failed` before.

        Raises:
            InvalidArgumentError: *messages* holds something else than messages. None was settled.
        """
        return self._leases.settle(check_messages("messages", messages), DEAD_LETTER)

    def release(self, messages: Iterable[Message]) -> int:
        """Release *messages* that were not begun, as if never received, and return how many of them were held.

        If the engine does not accept that now, they come again after their lease.

        Raises:
            InvalidArgumentError: *messages* holds something else than messages. None was settled.
        """
        return self._leases.settle(check_messages("messages", messages), RELEASE)

    @call_traits(immediate=True)
    def stop(self) -> None:
        """Receive no more; held messages stay held. Never waits."""
        self._stopped.set()
        self._woken.set()

    @call_traits(waits=True)
    def join(self) -> None:
        """Return when the messages received last have been passed on, or released. Call `stop` before."""
        if self._receiver is not None and self._receiver is not threading.current_thread():
            self._receiver.join()

    @call_traits(waits=True)
    def close(self) -> None:
        """Receive no more, repeat open settlements, release held messages, and leave the group.

        A settlement that the engine does not accept is logged, and its message redelivered after the lease. A second
        `close` waits for the first. Called by *hand_over*, it does not wait for that to return.
        """
        self.stop()
        with self._closing:
            if not self._closed:
                self._closed = True
                self._leases.end()
                try:
                    self._consumer.close()
                except Exception as error:  # noqa: BLE001 - even a bug in a driver must not end the work
                    self._log.warning("cannot release messages, they come again", error=str(error))
        self.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _feed(self, room: Room, hand_over: HandOver) -> None:
        pause_s = _FIRST_PAUSE_S
        while count := self._wait_for_room(room):
            try:
                messages = self.receive(min(count, MOST_MESSAGES), _RECEIVE_S)
            except ClosedError:
                return
            except Exception as error:  # noqa: BLE001 - as in `close`
                self._log.warning("cannot receive, trying again", error=str(error), pause_s=pause_s)
                self._stopped.wait(pause_s)
                pause_s = min(self._longest_pause_s, pause_s * 2)
                continue
            pause_s = _FIRST_PAUSE_S
            if messages:
                self._hand_over(messages, hand_over)

    def _wait_for_room(self, room: Room) -> int:
        """Return how many messages may be received now; 0 when stopping."""
        while not self._stopped.is_set():
            self._woken.clear()
            count = room()
            if count > 0:
                return count
            self._woken.wait(_LOOK_FOR_ROOM_S)
        return 0

    def _hand_over(self, messages: list[Message], hand_over: HandOver) -> None:
        if self._stopped.is_set():
            self.release(messages)
            return
        try:
            hand_over(messages)
        except BaseException:
            self.nack(messages, _REFUSED_S)
            raise
