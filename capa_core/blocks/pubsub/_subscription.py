"""The push form: threads that receive, call a handler, and settle in batches.

    receiver ──▶ waiting ──▶ handler threads ──▶ settled ──▶ keeper ──▶ engine
                                                            └─ renews leases on the way

One thread receives as many messages as there is room for; *concurrency* threads run handlers; one, the keeper,
acknowledges in batches what they finished, hands back what failed, and renews the leases of what they still hold.
"""

from __future__ import annotations

import inspect
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._message import Message
from capa_core.call import telemetry
from capa_core.call.traits import blocking, call_traits
from capa_core.forks import first_use

if TYPE_CHECKING:
    from capa_core.blocks.pubsub._loop import HandlerLoop

Handler = Callable[[Message], Any] | Callable[[Message], Awaitable[Any]]

_RECEIVE_S = 1.0
_LONGEST_PAUSE_S = 5.0
_LONGEST_RETRY_S = 60.0
_BEATS_PER_LEASE = 3
_LONGEST_BEAT_S = 10.0
"""However long the lease: engines take a broadcast group without a sign of life for abandoned."""


class _Held:
    """A message between being received and being settled."""

    __slots__ = ("lost", "message", "running", "since")

    def __init__(self, message: Message, since: float) -> None:
        self.message = message
        self.running = False
        self.lost = False
        self.since = since


@blocking()
class Subscription:
    """A handler at work on the messages of a topic. Made by `PubSub.subscribe`."""

    def __init__(
        self,
        consumer: Consumer,
        handler: Handler,
        *,
        max_messages: int,
        concurrency: int,
        lease_s: float,
        retry_delay_s: float,
        span: Mapping[str, Any],
        log: Any,
    ) -> None:
        self._consumer = consumer
        self._max_messages = max_messages
        self._beat_s = min(_LONGEST_BEAT_S, lease_s / _BEATS_PER_LEASE)
        self._retry_delay_s = retry_delay_s
        self._span = span
        self._log = log.bind(topic=consumer.topic, group=consumer.group)
        self._loop = _loop_for(handler, f"capa-pubsub-loop-{consumer.topic}")
        self._handler = partial(self._loop.run, handler) if self._loop else handler
        self._changed = threading.Condition()
        self._stopping = False
        self._waiting: deque[_Held] = deque()
        self._held: dict[int, _Held] = {}
        self._acked: list[_Held] = []
        self._failed: list[_Held] = []
        self._workers = [self._thread("handler", self._work) for _ in range(concurrency)]
        self._receiver = self._thread("receiver", self._receive)
        self._keeper = self._thread("keeper", self._keep)
        self._handlers = {*self._workers, *([self._loop.thread] if self._loop else [])}
        for thread in (*self._workers, self._receiver, self._keeper):
            thread.start()

    @property
    def topic(self) -> str:
        """What is subscribed to."""
        return self._consumer.topic

    @property
    def group(self) -> str:
        """The group it is in; for a broadcast, the one of its own."""
        return self._consumer.group

    def stop(self) -> None:
        """Receive no more and begin no more handlers; those that run go on. `close` does the rest."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @call_traits(waits=True)
    def close(self, *, drain: bool = True, timeout_s: float | None = None) -> None:
        """Stop receiving, let running handlers end, settle their messages, and hand back all others.

        A second `close` does nothing. Called by a handler, it returns at once, and all this is done after it.

        Args:
            drain: `False` does not wait for running handlers; their messages come again, to somebody else.
            timeout_s: For how long to wait for running handlers before they are left so; `None` for good.
        """
        self.stop()
        if not drain:
            self._leave_handlers()
        if threading.current_thread() in self._handlers:
            return
        self._keeper.join(timeout_s)
        if self._keeper.is_alive():
            self._log.warning("a handler did not end in time, its message comes again", timeout_s=timeout_s)
            self._leave_handlers()
            self._keeper.join()

    def _leave_handlers(self) -> None:
        with self._changed:
            self._held.clear()
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _thread(self, role: str, target: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=target, name=f"capa-pubsub-{role}-{self.topic}", daemon=True)

    # --- the receiver

    def _receive(self) -> None:
        pause_s = 0.05
        while room := self._wait_for_room():
            try:
                messages = self._consumer.receive(room, _RECEIVE_S)
            except Exception as error:  # noqa: BLE001 - even a bug in a driver must not end the work in silence
                if self._stopping:
                    return
                self._log.warning("cannot receive, trying again", error=str(error), pause_s=pause_s)
                with self._changed:
                    self._changed.wait_for(lambda: self._stopping, pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
                continue
            pause_s = 0.05
            self._take_in(messages)

    def _wait_for_room(self) -> int:
        """Return how many messages may be received now; 0 when stopping."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or len(self._held) < self._max_messages)
            return 0 if self._stopping else self._max_messages - len(self._held)

    def _take_in(self, messages: list[Message]) -> None:
        now = time.monotonic()
        with self._changed:
            if not self._stopping:  # else closing the consumer hands them back
                for message in messages:
                    held = _Held(message, now)
                    self._held[id(held)] = held
                    self._waiting.append(held)
                self._changed.notify_all()

    # --- the handlers

    def _work(self) -> None:
        while held := self._next():
            try:
                self._handle(held.message)
            except BaseException as error:  # noqa: BLE001 - even an exit: a held message must not outlive its handler
                # As text: `exc_info` is drawn by rich where it is installed, with all locals, in 0.1 s.
                told = "".join(traceback.format_exception(error))
                self._log.warning(
                    "a handler failed, the message comes again", id=held.message.id, traceback=told
                )
                self._settled(held, self._failed)
            else:
                self._settled(held, self._acked)

    def _next(self) -> _Held | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting)
            if self._stopping:
                return None
            held = self._waiting.popleft()
            held.running = True
            return held

    def _handle(self, message: Message) -> None:
        if not telemetry.tracing():
            self._handler(message)
            return
        span = {**self._span, "messaging.message.id": message.id}
        with telemetry.continued(message.attributes):  # noqa: SIM117 - the span is a child of what was continued
            with telemetry.span(f"process {self.topic}", span, kind="CONSUMER"):
                self._handler(message)

    def _settled(self, held: _Held, outcome: list[_Held]) -> None:
        with self._changed:
            outcome.append(held)
            self._changed.notify_all()

    # --- the keeper

    def _keep(self) -> None:
        """Settle what is finished as soon as the last batch is through; renew leases at each beat; tidy up."""
        next_beat = time.monotonic() + self._beat_s
        while (finished := self._wait_for_outcomes(next_beat)) is not None:
            self._settle(*finished)
            if time.monotonic() >= next_beat:
                self._renew()
                next_beat = time.monotonic() + self._beat_s
        self._finish()

    def _wait_for_outcomes(self, until: float) -> tuple[list[_Held], list[_Held]] | None:
        """Return what is to be acknowledged and handed back, nothing *until* then, `None` at the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._acked or self._failed or self._is_done(), max(0.0, until - time.monotonic())
            )
            finished = self._acked, self._failed
            self._acked, self._failed = [], []
            return None if self._is_done() and not any(finished) else finished

    def _is_done(self) -> bool:
        return self._stopping and not any(held.running for held in self._held.values())

    def _finish(self) -> None:
        try:
            self._consumer.close()
        except Exception as error:  # noqa: BLE001 - as in the receiver
            self._log.warning("cannot hand back messages, they come again", error=str(error))
        self._receiver.join()
        if self._loop is not None:
            self._loop.stop()

    def _settle(self, acked: list[_Held], failed: list[_Held]) -> None:
        """Tell the engine; what it does not hear comes again after the lease, as at-least-once allows."""
        try:
            if acked:
                self._consumer.ack([held.message for held in acked])
            for held in failed:
                self._consumer.nack([held.message], self._rest_s(held.message))
        except Exception as error:  # noqa: BLE001 - as in the receiver
            self._log.warning(
                "cannot settle messages, they come again", count=len(acked + failed), error=str(error)
            )
        with self._changed:
            for held in (*acked, *failed):
                self._held.pop(id(held), None)
            self._changed.notify_all()

    def _rest_s(self, message: Message) -> float:
        return min(_LONGEST_RETRY_S, self._retry_delay_s * 2.0 ** min(message.delivery_count - 1, 16))

    def _renew(self) -> None:
        """Extend what is held; what has waited a whole beat behind a long handler goes to who has time."""
        with self._changed:
            late = [held for held in self._waiting if time.monotonic() - held.since > self._beat_s]
            for held in late:
                self._waiting.remove(held)
                del self._held[id(held)]
            kept = [held for held in self._held.values() if not held.lost]
        try:
            if late:
                self._consumer.release([held.message for held in late])
            if kept:
                self._note_lost(kept, self._consumer.extend([held.message for held in kept]))
        except Exception as error:  # noqa: BLE001 - as in the receiver
            self._log.warning("cannot renew leases", count=len(kept), error=str(error))

    def _note_lost(self, kept: list[_Held], still: list[bool]) -> None:
        for held, ours in zip(kept, still, strict=True):
            if not ours:
                held.lost = True
                self._log.warning("a lease was lost, the message comes again", id=held.message.id)


def _loop_for(handler: Handler, name: str) -> HandlerLoop | None:
    """Return a running loop if calling *handler* makes a coroutine; objects with `async def __call__` included."""
    method = getattr(handler, "__call__", None)  # noqa: B004 - to look at it, not to ask whether it is there
    if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(method)):
        return None
    with first_use:
        from capa_core.blocks.pubsub._loop import (
            HandlerLoop,
        )  # asyncio takes as long to import as all the rest

    return HandlerLoop(name)
