"""Buckets of values by key, as NATS KV has them: a stream that keeps the last message of each subject.

The number of a message in the stream is the revision of its value: it grows with each write to the bucket, and begins
at the milliseconds since the epoch, so that it also grows if the bucket is deleted and made again.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from nats import errors

from capa_core.components.nats import _pages
from capa_core.components.nats._clock import seconds_of
from capa_core.components.nats._connection import Connection
from capa_core.components.nats._errors import (
    NO_MESSAGE,
    NO_STREAM,
    STREAM_EXISTS,
    WRONG_SEQUENCE,
    JetStreamError,
    RefusedError,
)
from capa_core.components.nats._link import Link
from capa_core.components.nats._names import escaped
from capa_core.components.nats._settings import NatsSettings
from capa_core.errors import ConflictError

OPERATION = "KV-Operation"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_TTL = "Nats-TTL"
_MARKER_S = 60
"""For how long the mark of a deletion stays: readers of the bucket see that the value has gone."""
_NEEDED = {"retention": "limits", "max_msgs_per_subject": 1, "allow_msg_ttl": True, "discard": "new"}

T = TypeVar("T")


class Entry(NamedTuple):
    """The last message of a key.

    Attributes:
        is_value: Whether it is a value; else the mark of a deletion.
    """

    value: bytes
    revision: int
    stored_at: float
    is_value: bool


class Bucket:
    """One bucket, made by the first write."""

    def __init__(self, link: Link, settings: NatsSettings, name: str) -> None:
        self._link = link
        self._settings = settings
        self._name = f"{settings.prefix}-{name}"
        self.stream = f"KV_{self._name}"
        self._is_checked = False

    def subject(self, key: str) -> str:
        """Return the subject of the messages of *key*."""
        return f"$KV.{self._name}.{escaped(key)}"

    def read(self, key: str) -> Entry | None:
        """Return the last message of *key*; `None` if there is none."""
        return self._link.call(lambda connection: self._read(connection, key))

    def read_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the last message of each of *keys*, all asked for at once."""
        return self._link.call(lambda connection: _all(self._read(connection, key) for key in keys))

    def write(
        self, key: str, value: bytes, headers: dict[str, str], *, expected: int | None = None, ttl_s: int = 0
    ) -> int | None:
        """Store *value* and return its revision; `None` if the last revision of *key* is not *expected*.

        Args:
            expected: 0 for a key without any message; `None` for whatever there is.
            ttl_s: Seconds after which it goes away; 0 for never.
        """
        if expected is not None:
            headers = headers | {_EXPECTED: str(expected)}
        if ttl_s:
            headers = headers | {_TTL: f"{ttl_s}s"}
        (revision,) = self.write_many([(key, value, headers)])
        return revision

    def write_many(self, writes: Sequence[tuple[str, bytes, dict[str, str]]]) -> list[int | None]:
        """Store each value under its key, with headers, all sent at once; their revisions, as of `write`."""
        return self._made(
            lambda: self._link.call(
                lambda connection: _all(self._write(connection, *each) for each in writes)
            )
        )

    def delete(self, key: str, revision: int) -> bool:
        """Replace the value with a mark, and return `True`; `False` if the last revision of *key* is not *revision*."""
        return self.delete_many([(key, revision)])[0]

    def delete_many(self, revisions: Sequence[tuple[str, int]]) -> list[bool]:
        """Delete as `delete` does, all sent at once: keys with the revisions that must be their last ones."""
        marks = [
            (key, b"", {OPERATION: "DEL", _EXPECTED: str(revision), _TTL: f"{_MARKER_S}s"})
            for key, revision in revisions
        ]
        return [revision is not None for revision in self.write_many(marks)]

    def info(self) -> dict[str, Any] | None:
        """Return what the server says of the bucket's stream; `None` if there is none."""
        try:
            return self._link.api(f"STREAM.INFO.{self.stream}")
        except JetStreamError as error:
            if error.number != NO_STREAM:
                raise
            return None

    def has_lost(self, revision: int) -> bool:
        """Return whether this is not the bucket that had *revision*: that one is gone, or was made anew."""
        found = self.info()
        return found is None or not (
            found["config"].get("first_seq", 0) <= revision <= found["state"]["last_seq"]
        )

    def size(self) -> int:
        """Return how many bytes it takes."""
        found = self.info()
        return int(found["state"]["bytes"]) if found else 0

    def values(self) -> Iterator[_pages.Stored]:
        """Yield each value."""
        for found in _pages.stored(self._link, self.stream, f"$KV.{self._name}.>"):
            if OPERATION not in found.headers:
                yield found

    def now(self) -> str:
        """Return the server's time, as it writes it."""
        return self._made(lambda: str(self._link.api(f"STREAM.INFO.{self.stream}")["ts"]))

    # --- parts

    async def _read(self, connection: Connection, key: str) -> Entry | None:
        request = f"{self._link.prefix}.STREAM.MSG.GET.{self.stream}"
        try:
            answer = await connection.api(request, last_by_subj=self.subject(key))
        except JetStreamError as error:
            if error.number not in (NO_MESSAGE, NO_STREAM):
                raise
            return None
        found = answer["message"]
        is_value = OPERATION.encode() not in base64.b64decode(found.get("hdrs", ""))
        value = base64.b64decode(found.get("data", ""))
        return Entry(value, int(found["seq"]), seconds_of(found["time"]), is_value)

    async def _write(
        self, connection: Connection, key: str, value: bytes, headers: dict[str, str]
    ) -> int | None:
        subject = self.subject(key)
        answer = json.loads((await connection.ask(subject, value, headers)).data)
        if "error" not in answer:
            return int(answer["seq"])
        error = JetStreamError(answer["error"], subject)
        if error.number != WRONG_SEQUENCE:
            raise error
        return None

    def _made(self, work: Callable[[], T]) -> T:
        """Return what *work* returns; if there is no bucket, make it before."""
        if not self._is_checked:
            self._check()
            self._is_checked = True
        try:
            return work()
        except errors.NoRespondersError:
            pass
        except JetStreamError as error:
            if error.number != NO_STREAM:
                raise
        self._make()
        return work()

    def _make(self) -> None:
        config: dict[str, Any] = _NEEDED | {
            "name": self.stream,
            "subjects": [f"$KV.{self._name}.>"],
            "storage": "file",
            "num_replicas": self._settings.replicas,
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": True,
            "first_seq": time.time_ns() // 1_000_000,
        }
        try:
            self._link.api(f"STREAM.CREATE.{self.stream}", **config)
        except JetStreamError as error:
            if error.number != STREAM_EXISTS:  # made by another process at the same moment
                raise

    def _check(self) -> None:
        """Refuse a bucket that an operator made, and that would lose values."""
        found = self.info()
        if found is None:
            return
        config = found["config"]
        wrong = [f"{name} must be {value}" for name, value in _NEEDED.items() if config.get(name) != value]
        wrong += [f"{name} must be 0" for name in ("max_age",) if config.get(name)]
        if wrong:
            raise RefusedError(
                ConflictError,
                f"the bucket {self._name!r} is not as this component makes it (an operator may have made it): "
                f"{', '.join(wrong)}. Correct it with `nats stream edit {self.stream}`, or give this component "
                "a `prefix` of its own.",
            )


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    return list(await asyncio.gather(*work))
