"""Subscriptions: threads that call a handler with each message, and settle the outcomes in batches.

    intake ──▶ waiting ──▶ handler threads ──▶ settler ──▶ intake ──▶ engine

The intake receives and renews leases; *concurrency* threads run handlers; one, the settler, acknowledges handled
messages in batches and rejects failed ones.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from capa_core.blocks.pubsub._checks import Delays
from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._intake import Intake
from capa_core.blocks.pubsub._message import Message
from capa_core.call import telemetry
from capa_core.call.conventions import PROCESS_DURATION
from capa_core.call.handlers import LoopEndedError, is_async
from capa_core.call.traits import blocking, call_traits
from capa_core.forks import first_use
from capa_core.supervision import SupervisedThread, as_text, end_forked_child

if TYPE_CHECKING:
    from capa_core.blocks.pubsub._loop import HandlerLoop

Handler = Callable[[Message], Any] | Callable[[Message], Awaitable[Any]]

_LONGEST_RETRY_S = 60.0


@blocking()
class Subscription:
    """Calls a handler with the messages of a topic. Made by `PubSub.subscribe`."""

    def __init__(
        self,
        consumer: Consumer,
        handler: Handler,
        *,
        max_messages: int,
        concurrency: int,
        delays: Delays,
        lease_s: float,
        retry_delay_s: float,
        span: Mapping[str, Any],
        log: Any,
    ) -> None:
        self._max_messages = max_messages
        self._retry_delay_s = retry_delay_s
        self._span = span
        self._log = log.bind(topic=consumer.topic, group=consumer.group)
        self._changed = threading.Condition()
        self._stopping = False
        self._waiting: deque[tuple[Message, float]] = deque()
        self._behind = False  # true from a release of messages that waited long until a handler is free
        self._running: list[Message | None] = [None] * concurrency
        self._acked: list[Message] = []
        self._failed: list[Message] = []
        self._intake = Intake(consumer, delays=delays, lease_s=lease_s, log=log, worked_on=self._worked_on)
        self._loop = _loop_for(handler, f"capa-pubsub-loop-{consumer.topic}", lambda: self._log)
        self._handler = partial(self._loop.run, handler) if self._loop else handler
        self._workers = [self._thread("handler", partial(self._work, slot)) for slot in range(concurrency)]
        self._settler = self._thread("settler", self._settle_outcomes)
        self._handlers = {*self._workers, *([self._loop.thread] if self._loop else [])}
        for thread in (*self._workers, self._settler):
            thread.start()
        self._intake.start(self._room, self._take)

    @property
    def topic(self) -> str:
        """The topic that is subscribed to."""
        return self._intake.topic

    @property
    def group(self) -> str:
        """The group it is in; for a broadcast, the one of its own."""
        return self._intake.group

    def stop(self) -> None:
        """Receive no more and begin no more handlers; running ones continue. `close` does the rest."""
        self._intake.stop()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @call_traits(waits=True)
    def close(self, *, drain: bool = True, timeout_s: float | None = None) -> None:
        """Stop receiving, let running handlers end, settle their messages, and release all others.

        A second `close` does nothing. Called by a handler, it returns at once, and all this is done after it.

        Args:
            drain: `False` does not wait for running handlers; their messages are redelivered to another consumer.
            timeout_s: For how long to wait for running handlers before they are left running; `None` for no limit.
        """
        self.stop()
        if not drain:
            self._leave_handlers()
        if threading.current_thread() in self._handlers:
            return
        self._settler.join(timeout_s)
        if self._settler.is_alive():
            self._log.warning(
                "a handler did not end in time, its message comes again",
                timeout_s=timeout_s and round(timeout_s, 1),
            )
            self._leave_handlers()
            self._settler.join()

    def _leave_handlers(self) -> None:
        with self._changed:
            self._running = [None] * len(self._running)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _thread(self, role: str, work: Callable[[], None]) -> threading.Thread:
        name = f"capa-pubsub-{role}-{self.topic}"
        return SupervisedThread(name, work, log=lambda: self._log, stopping=lambda: False)

    # --- called by the intake

    def _room(self) -> int:
        # It would only take again what it has just released.
        return 0 if self._behind else self._max_messages - len(self._intake)

    def _take(self, messages: list[Message]) -> None:
        now = time.monotonic()
        with self._changed:
            self._waiting.extend((message, now) for message in messages)
            self._changed.notify_all()

    def _worked_on(self, _held: Sequence[Message]) -> Collection[Message]:
        """Return the messages that wait, run or are to be settled; release those that waited long behind a handler."""
        with self._changed:
            longest_s, late = self._intake.renewal_s, []
            while self._waiting and time.monotonic() - self._waiting[0][1] > longest_s:
                late.append(self._waiting.popleft()[0])
                self._behind = True
            waiting = [message for message, _ in self._waiting]
            running = [message for message in self._running if message is not None]
            working = {*waiting, *running, *self._acked, *self._failed}
        self._intake.release(late)
        return working

    # --- the handlers

    def _work(self, slot: int) -> None:
        owner = os.getpid()
        while (message := self._next(slot)) is not None:
            try:
                try:
                    self._handle(message)
                finally:
                    end_forked_child(owner)
            except BaseException as error:  # noqa: BLE001 - even an exit: a held message must not outlive its handler
                if isinstance(error, LoopEndedError) and self._stopping:
                    continue  # it has closed this subscription with a warning, which releases the message
                self._log.warning(
                    "a handler failed, the message comes again", id=message.id, traceback=as_text(error)
                )
                message.failed(error)
                self._finished(slot, message, self._failed)
            else:
                self._finished(slot, message, self._acked)

    def _next(self, slot: int) -> Message | None:
        with self._changed:
            self._free(slot)  # a thread that starts again works on nothing of before
            self._changed.wait_for(lambda: self._stopping or self._waiting)
            if self._stopping:
                return None
            message, _ = self._waiting.popleft()
            self._running[slot] = message
            return message

    def _handle(self, message: Message) -> None:
        if not telemetry.observing():
            self._handler(message)
            return
        span = {**self._span, "messaging.message.id": message.id}
        with (
            telemetry.measured(PROCESS_DURATION, {**self._span, "messaging.operation.name": "process"}),
            telemetry.continued(message.attributes),
            telemetry.span(f"process {self.topic}", span, kind="CONSUMER"),
        ):
            self._handler(message)

    def _finished(self, slot: int, message: Message, outcome: list[Message]) -> None:
        with self._changed:
            self._free(slot)
            outcome.append(message)
            self._changed.notify_all()

    def _free(self, slot: int) -> None:
        self._running[slot] = None
        self._behind = False

    # --- the settler

    def _settle_outcomes(self) -> None:
        """Settle outcomes, each batch as soon as the one before is done, and leave the group at the end."""
        while (finished := self._wait_for_outcomes()) is not None:
            acked, failed = finished
            self._intake.ack(acked)
            for message in failed:
                self._intake.nack([message], self._rest_s(message))
        self._intake.close()
        if self._loop is not None:
            self._loop.stop()

    def _wait_for_outcomes(self) -> tuple[list[Message], list[Message]] | None:
        """Return the messages to acknowledge and those to reject; `None` when no more will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._acked or self._failed or self._is_done())
            finished = self._acked[:], self._failed[:]
            self._acked.clear()
            self._failed.clear()
            return finished if any(finished) else None

    def _is_done(self) -> bool:
        return self._stopping and not any(self._running)

    def _rest_s(self, message: Message) -> float:
        longest_s = min(_LONGEST_RETRY_S, self._intake.longest_delay_s)
        return min(longest_s, self._retry_delay_s * 2.0 ** min(message.delivery_count - 1, 16))


def _loop_for(handler: Handler, name: str, log: Callable[[], Any]) -> HandlerLoop | None:
    """Return a running loop if calling *handler* makes a coroutine; objects with `async def __call__` included."""
    if not is_async(handler):
        return None
    with first_use:
        from capa_core.blocks.pubsub._loop import (
            HandlerLoop,
        )  # asyncio takes as long to import as all the rest

    return HandlerLoop(name, log)
