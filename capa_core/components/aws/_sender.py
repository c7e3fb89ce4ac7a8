"""Requests of many messages: as many as one may have, and the outcome of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError, of_code
from capa_core.components.aws._messages import Entry
from capa_core.errors import CapaError

AT_ONCE = 10


class Sender:
    """Sends batches to the queues of one component."""

    def __init__(self, clients: Clients, largest_bytes: int) -> None:
        self._clients = clients
        self._largest_bytes = largest_bytes

    def send(self, url: str, entries: Sequence[Entry]) -> list[CapaError | None]:
        """Store *entries* in order, and return the error of each.

        Raises:
            AwsError: A request failed as a whole. Those of the requests before are stored.
        """
        if len(entries) == 1:
            self._clients.call("sqs", "SendMessage", url, QueueUrl=url, **entries[0].request)
            return [None]
        outcomes: list[CapaError | None] = []
        for batch in batches(entries, self._largest_bytes):
            outcomes += self.each("SendMessageBatch", url, [one.request for one in batch])
        return outcomes

    def copy(self, url: str, entries: Sequence[Entry]) -> None:
        """Store *entries*, every one.

        Raises:
            CapaError: One was refused.
        """
        for error in self.send(url, entries):
            if error is not None:
                raise error

    def each(self, action: str, url: str, entries: Sequence[dict[str, Any]]) -> list[CapaError | None]:
        """Call *action* with up to ten *entries*, and return the error of each."""
        numbered = [{"Id": str(number), **one} for number, one in enumerate(entries)]
        answer = self._clients.call("sqs", action, url, QueueUrl=url, Entries=numbered)
        return outcomes(answer, len(entries), f"sqs:{action}", self._clients.place("sqs", url))


def batches(entries: Sequence[Entry], largest_bytes: int) -> Iterator[Sequence[Entry]]:
    """Yield *entries* in order, up to ten and to *largest_bytes* at once."""
    start = size = 0
    for place, one in enumerate(entries):
        if place > start and (place - start == AT_ONCE or size + one.size > largest_bytes):
            yield entries[start:place]
            start, size = place, 0
        size += one.size
    if start < len(entries):
        yield entries[start:]


def outcomes(answer: Any, count: int, action: str, place: str) -> list[CapaError | None]:
    """Return the error of each of *count* entries of a request."""
    found: list[CapaError | None] = [None] * count
    for one in answer.get("Failed", ()):
        error = of_code(str(one.get("Code", "")), str(one.get("Message", "")), action, place)
        failed = error.kind(str(error))
        failed.__cause__ = error
        found[int(one["Id"])] = failed
    return found


def is_gone(error: CapaError | None) -> bool:
    """Return whether a queue lacks the message of a receipt: its lease was lost."""
    cause = error.__cause__ if error is not None else None
    return isinstance(cause, AwsError) and cause.code in (
        "ReceiptHandleIsInvalid",
        "MessageNotInflight",
        "InvalidParameterValue",  # SQS, of a receipt that is too old, and of more than 12 h in all
    )
