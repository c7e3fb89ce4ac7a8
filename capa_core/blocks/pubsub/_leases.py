"""Leases: keep received messages leased while they are worked on, and settle them in spite of outages.

received ──▶ held ──▶ ack · nack · release ──▶ engine
              │ ▲                      └─▶ unaccepted ─▶ sent again until it is accepted
              └─┘ extended by the renewer, a thread
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from capa_core.blocks.pubsub._checks import check_messages
from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._message import Message
from capa_core.clocks import boot_time
from capa_core.errors import InvalidArgumentError
from capa_core.supervision import SupervisedThread, as_text

WorkedOn = Callable[[Sequence[Message]], Collection[Message]]
OnLost = Callable[[Sequence[Message]], object]

_RENEWALS_PER_LEASE = 3
_SIGNS_PER_SILENCE = 4
_LONGEST_RENEWAL_S = 10.0
_FIRST_RETRY_S = 1.0
_RESTS_PER_LEASE = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """A way to settle messages: acknowledge, reject with a delay, make a dead letter, or release."""

    verb: str
    delay_s: float = 0.0

    def send(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        """Settle *messages* through *consumer*, whose errors pass."""
        if self.verb == "nack":
            consumer.nack(messages, self.delay_s)
        elif self.verb == "ack":
            consumer.ack(messages)
        elif self.verb == "dead_letter":
            consumer.dead_letter(messages)
        else:
            consumer.release(messages)


ACK = Outcome("ack")
DEAD_LETTER = Outcome("dead_letter")
RELEASE = Outcome("release")

_Since = dict[Message, float]
"""Messages, and a time before the start of the lease of each."""


class Leases:
    """The messages that one consumer has received and not settled. Safe for many threads.

    Args:
        worked_on: As for `PubSub.intake`.
        on_lost: As for `PubSub.intake`.
        on_settled: Called when fewer messages are held than before.

    Attributes:
        renewal_s: How often leases are renewed.
    """

    def __init__(
        self,
        consumer: Consumer,
        lease_s: float,
        log: Any,
        *,
        worked_on: WorkedOn | None,
        on_lost: OnLost | None,
        on_settled: Callable[[], object],
    ) -> None:
        self.renewal_s = min(
            lease_s / _RENEWALS_PER_LEASE, consumer.silence_s / _SIGNS_PER_SILENCE, _LONGEST_RENEWAL_S
        )
        self._consumer = consumer
        self._must_show_life = consumer.silence_s < float("inf")
        self._lease_s = lease_s
        self._log = log
        self._worked_on = worked_on
        self._on_lost = on_lost
        self._on_settled = on_settled
        self._changed = threading.Condition()
        self._held: _Since = {}
        self._settling = 0
        self._extending: frozenset[Message] = frozenset()
        self._unaccepted: dict[Outcome, _Since] = {}
        self._unaccepted_count = 0
        self._retry_s = _FIRST_RETRY_S
        self._ended = threading.Event()
        self._due = threading.Event()
        self._renewer: threading.Thread | None = None
        if self._must_show_life:  # also before the first message comes
            self._have_renewer()

    def __len__(self) -> int:
        return len(self._held) + self._unaccepted_count

    def held(self) -> list[Message]:
        """Return the messages that were neither settled nor lost, without those whose lease may have run out."""
        with self._changed:
            now = boot_time()
            return [message for message, since in self._held.items() if now - since < self._lease_s]

    def left_s(self, message: Message) -> float:
        """Return the seconds for which *message* is surely leased; 0 if it is not held."""
        since = self._held.get(message)
        return 0.0 if since is None else max(0.0, since + self._lease_s - boot_time())

    def add(self, messages: Sequence[Message], since: float) -> bool:
        """Hold *messages* received after *since*; `False` after `end`, when closing the consumer releases them."""
        with self._changed:
            if self._ended.is_set():
                return False
            self._held.update(dict.fromkeys(messages, since))
        self._have_renewer()
        return True

    def end(self) -> None:
        """Drop the held messages, and repeat open settlements once. `add` does nothing from then on."""
        with self._changed:
            self._ended.set()
            self._due.set()
            self._held.clear()
            # Each call to the engine has a deadline.
            self._changed.wait_for(lambda: not self._settling and not self._extending)
        self._send_again()
        if self._unaccepted_count:
            self._log.warning("messages stay unsettled, they come again", count=self._unaccepted_count)

    # Settling

    def settle(self, messages: Iterable[Message], outcome: Outcome) -> int:
        """Settle those of *messages* that are held, and return how many these were."""
        messages = list(messages)
        with self._changed:
            if outcome is not ACK:  # a renewal after a rejection would hide the message for another lease
                self._changed.wait_for(lambda: self._extending.isdisjoint(messages))
            taken = {message: self._held.pop(message) for message in messages if message in self._held}
            self._settling += len(taken)
        if taken:
            self._on_settled()
            self._send({outcome: taken}, len(taken))
            if self._unaccepted_count:
                self._due.set()
        return len(taken)

    def _send(self, settled: dict[Outcome, _Since], count: int, *, again: bool = False) -> None:
        """Send to the engine; keep the settlements that it may accept later. Until then, those sent *again* count."""
        unaccepted: dict[Outcome, _Since] = {}
        try:
            for outcome, leases in settled.items():
                refused = leases if unaccepted else self._refused(outcome, leases)
                if refused:
                    unaccepted[outcome] = refused
            if len(unaccepted) > 1:  # the one that failed is the last to be tried again
                first = next(iter(unaccepted))
                unaccepted[first] = unaccepted.pop(first)
        finally:
            with self._changed:
                if again:
                    self._unaccepted_count -= count
                for outcome, leases in unaccepted.items():
                    self._unaccepted.setdefault(outcome, {}).update(leases)
                    self._unaccepted_count += len(leases)
                self._settling -= count
                self._changed.notify_all()

    def _refused(self, outcome: Outcome, leases: _Since) -> _Since:
        """Send to the engine, and return the messages for which it may accept that later."""
        try:
            leases = self._without_lost(leases)
            if leases:
                outcome.send(self._consumer, list(leases))
        except Exception as error:  # noqa: BLE001 - even a bug in a driver must not end the work
            again = outcome is not RELEASE and getattr(error, "retryable", False)
            self._log.warning(
                f"cannot {outcome.verb} messages, "
                + ("trying again" if again else "they come again after their lease"),
                count=len(leases),
                error=str(error),
            )
            return leases if again else {}
        return {}

    def _without_lost(self, leases: _Since) -> _Since:
        """Return those of *leases* that were not lost; ask the engine where one may have run out unnoticed."""
        now = boot_time()
        doubtful = [message for message, since in leases.items() if now - since >= self._lease_s]
        if not doubtful:
            return leases
        answers = self._consumer.extend(doubtful)
        lost = {message for message, ours in zip(doubtful, answers, strict=True) if not ours}
        self._report_lost(lost)
        renewed = leases | dict.fromkeys(doubtful, now)
        return {message: since for message, since in renewed.items() if message not in lost}

    def _send_again(self) -> None:
        with self._changed:
            unaccepted, self._unaccepted = self._unaccepted, {}
            count = sum(map(len, unaccepted.values()))
            self._settling += count
        if count:
            self._send(unaccepted, count, again=True)
            self._on_settled()

    # Renewing

    def _have_renewer(self) -> None:
        """Start the renewer, unless it runs; a forked child has none."""
        if self._renewer is not None and self._renewer.is_alive():
            return
        with self._changed:
            if self._ended.is_set() or (self._renewer is not None and self._renewer.is_alive()):
                return
            # Through a weak reference: else the messages of a dropped intake would stay leased until the process ends.
            renewer = _Renewer(weakref.ref(self), self._due, self._ended, self.renewal_s)
            log = self._log
            self._renewer = SupervisedThread(
                f"capa-leases-{self._consumer.topic}",
                renewer.renew_until_ended,
                log=lambda: log,
                stopping=self._ended.is_set,
                longest_rest_s=self._lease_s / _RESTS_PER_LEASE,
            )
            self._renewer.start()

    def retry(self) -> float:
        """Repeat open settlements; return the seconds until the next try, infinite if none is needed."""
        self._send_again()
        self._retry_s = min(self.renewal_s, 2 * self._retry_s) if self._unaccepted_count else _FIRST_RETRY_S
        return self._retry_s if self._unaccepted_count else float("inf")

    def renew(self) -> None:
        """Extend the leases of messages that are worked on or unaccepted; drop those left alone for a whole lease."""
        with self._changed:
            held = list(self._held)  # those whose lease may have run out included: the engine knows
        kept = self._those_worked_on(held)
        self._extend(kept)
        if len(kept) < len(held):
            self._forget_abandoned(set(held).difference(kept))

    def _extend(self, kept: list[Message]) -> None:
        now = boot_time()
        with self._changed:
            unaccepted = [message for leases in self._unaccepted.values() for message in leases]
            messages = [*(message for message in kept if message in self._held), *unaccepted]
            if self._ended.is_set() or not (messages or self._must_show_life):
                return
            self._extending = frozenset(messages)
        lost: list[Message] = []
        try:
            lost = self._note_renewal(messages, self._consumer.extend(messages), now)
        except Exception as error:  # noqa: BLE001 - as in settling
            self._log.warning("cannot renew leases now", count=len(messages), error=str(error))
        finally:
            with self._changed:
                self._extending = frozenset()
                self._changed.notify_all()
        self._report_lost(lost)

    def _those_worked_on(self, held: list[Message]) -> list[Message]:
        if self._worked_on is None or not held:
            return held
        try:
            answer: Any = self._worked_on(held)
            worked_on: object = list(answer) if isinstance(answer, Iterable) else answer
        except Exception as error:  # noqa: BLE001 - a holder that cannot answer must not keep its messages
            self._log.error(
                "the holder failed to state which messages it works on, no lease is renewed",
                traceback=as_text(error),
            )
            return []
        try:
            kept = set(check_messages("the answer of worked_on", worked_on))
        except InvalidArgumentError as error:
            self._log.error(
                "the holder did not state which messages it works on, all that are held are renewed",
                error=str(error),
            )
            return held
        return [message for message in held if message in kept]

    def _note_renewal(self, kept: list[Message], answers: list[bool], now: float) -> list[Message]:
        """Note since when messages are leased, and return those that were lost."""
        lost = []
        with self._changed:
            books = [self._held, *self._unaccepted.values()]
            for message, ours in zip(kept, answers, strict=True):
                for book in books:
                    if message not in book:  # settled meanwhile, or in another book
                        continue
                    if ours:
                        book[message] = now
                    else:
                        del book[message]
                        self._unaccepted_count -= book is not self._held
                        lost.append(message)
        return lost

    def _forget_abandoned(self, abandoned: Collection[Message]) -> None:
        now, over = boot_time(), []
        with self._changed:
            for message in abandoned:
                if now - self._held.get(message, now) >= self._lease_s:
                    del self._held[message]
                    over.append(message)
        self._report_lost(over)

    def _report_lost(self, messages: Collection[Message]) -> None:
        if not messages:
            return
        for message in messages:
            self._log.warning("the lease of a message was lost, it comes again", id=message.id)
        self._consumer.count_lost(len(messages))
        self._on_settled()
        if self._on_lost is not None:
            try:
                self._on_lost(list(messages))
            except Exception as error:  # noqa: BLE001 - the other leases need their renewal all the same
                self._log.error("the holder failed to take note of lost leases", traceback=as_text(error))


class _Renewer:
    """Renews leases and repeats open settlements. It keeps its times when its thread starts again."""

    def __init__(
        self, leases: weakref.ref[Leases], due: threading.Event, ended: threading.Event, every_s: float
    ) -> None:
        self._leases = leases
        self._due = due
        self._ended = ended
        self._every_s = every_s
        self._next_renewal = boot_time() + every_s
        self._next_retry = boot_time() + _FIRST_RETRY_S

    def renew_until_ended(self) -> None:
        """Work until the leases are ended or garbage."""
        while not self._ended.is_set():
            if self._due.wait(max(0.0, min(self._next_renewal, self._next_retry) - boot_time())):
                self._due.clear()
                self._next_retry = min(self._next_retry, boot_time() + _FIRST_RETRY_S)
            leases = self._leases()
            if leases is None or self._ended.is_set():
                return
            self._work(leases)
            del leases

    def _work(self, leases: Leases) -> None:
        # Each time is set after the call: one that failed is due at once when the thread starts again.
        if (now := boot_time()) >= self._next_renewal:
            leases.renew()
            self._next_renewal = now + self._every_s
        if boot_time() >= self._next_retry:
            self._next_retry = boot_time() + leases.retry()
