"""Publishing: all messages of a batch are sent, and then all acknowledgements awaited."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import NamedTuple

from nats.aio.msg import Msg

from capa_core.clocks import boot_time
from capa_core.components.nats._connection import Connection, status_of
from capa_core.components.nats._errors import JetStreamError
from capa_core.components.nats._link import Link
from capa_core.errors import CapaError, InvalidArgumentError, NotFoundError

_REMEMBERED_S = 100.0  # within the two minutes for which a stream knows ids
_MOST_REMEMBERED = 10_000


class Outgoing(NamedTuple):
    """A message on its way to a subject."""

    subject: str
    body: bytes
    headers: dict[str, str]

    def size(self) -> int:
        """Return how many bytes count for the server's `max_payload`."""
        lines = sum(len(name) + len(value) + len(": \r\n") for name, value in self.headers.items())
        return len(self.body) + lines + len("NATS/1.0\r\n\r\n")


class Publisher:
    """Publishes batches. With its id, a message that may be stored already is stored once if it is sent again."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def publish(self, messages: Sequence[Outgoing]) -> list[CapaError | None]:
        """Return the outcome of each: `None` when the server has stored it; `NotFoundError` if no stream takes it.

        If it raises, as the connection was lost or there was no answer in time, any of them may be stored.
        """
        connection = self._link.connection()
        return connection.exchange(_Batch(connection, messages).send)


class _Batch:
    """The messages of one call. For the connection's thread."""

    def __init__(self, connection: Connection, messages: Sequence[Outgoing]) -> None:
        self._connection = connection
        self._messages = messages
        self._outcomes: list[CapaError | None] = [None] * len(messages)
        self._left = set(range(len(messages)))

    async def send(self, answer: Future[list[CapaError | None]]) -> None:
        """Send the messages; *answer* gets the outcomes."""
        self._answer = answer
        self._number, inbox = self._connection.inbox(self._on_answer)
        client = self._connection.client
        for place, message in enumerate(self._messages):
            if (
                message.size() > client.max_payload
            ):  # nats-py would leave out the headers, and the server hang up
                self._note(place, _too_large(client.max_payload))
                continue
            subject, body, headers = message
            await client.publish(subject, body, reply=f"{inbox}.{place}", headers=headers)

    def _on_answer(self, place: str, message: Msg) -> None:
        self._note(int(place), _outcome(message))

    def _note(self, place: int, outcome: CapaError | None) -> None:
        self._outcomes[place] = outcome
        self._left.discard(place)
        if not self._left:
            self._connection.leave(self._number)
            if not self._answer.done():
                self._answer.set_result(self._outcomes)


def _too_large(most: int) -> CapaError:
    return InvalidArgumentError(
        f"a message is above `max_payload` of the server: {most} bytes, its attributes included. Store the body "
        "elsewhere and send where; or raise `max_payload` in nats-server.conf, and `max_message_bytes` here."
    )


def _outcome(message: Msg) -> CapaError | None:
    if status_of(message):
        return NotFoundError("no stream takes the message")
    if b'"error"' not in message.data:
        return None
    answer = json.loads(message.data)
    if "error" not in answer:
        return None
    error = JetStreamError(answer["error"], "publishing")
    outcome = error.kind(str(error))
    outcome.__cause__ = error
    return outcome


class Attempts:
    """The ids under which messages were sent whose outcome is not known, for the time that the server knows them.

    An id is of one message object, not of its `id`: a dead letter that is replayed is the same message, and no copy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unsure: dict[int, tuple[object, str, float]] = {}

    def earlier(self, message: object) -> str | None:
        """Return the id under which *message* was sent before without a known outcome, and forget it."""
        with self._lock:
            found = self._unsure.pop(id(message), None)
        return found[1] if found is not None and boot_time() < found[2] else None

    def note(self, sent: Iterable[tuple[object, str]]) -> None:
        """Note that it is not known whether the messages of *sent* were stored under the ids beside them."""
        now = boot_time()
        with self._lock:
            self._unsure = {key: entry for key, entry in self._unsure.items() if now < entry[2]}
            for message, ident in islice(sent, _MOST_REMEMBERED - len(self._unsure)):
                self._unsure[id(message)] = (
                    message,
                    ident,
                    now + _REMEMBERED_S,
                )  # holding it keeps its id its own
