"""Deliveries that do not count: a message that is released counts as one of the server's, which a note subtracts.

Notes are in a stream of their own, for all topics; the last one of a subject stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256

from nats import errors

from capa_core.components.nats._connection import Connection
from capa_core.components.nats._errors import STREAM_EXISTS, JetStreamError
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats._streams import NANOSECONDS, Place

_KEPT_S = 86_400
"""A message that is released, and then not received for a day, counts one delivery too many."""


class Notes:
    """The deliveries of messages that do not count, by consumer and number. For the connection's thread."""

    def __init__(self, settings: NatsSettings, api: str) -> None:
        self._settings = settings
        self._api = api
        self._stream = f"{settings.prefix}+=notes"  # no topic's: there, two digits come after the sign
        self._subject = f"{settings.prefix}.=notes"

    async def note(self, connection: Connection, place: Place, uncounted: Mapping[int, int]) -> None:
        """Note how many deliveries of each message, by its number, do not count."""
        try:
            await self._write(connection, place, uncounted)
        except errors.NoRespondersError:
            await self._make(connection)
            await self._write(connection, place, uncounted)

    async def uncounted(self, connection: Connection, place: Place, numbers: Sequence[int]) -> list[int]:
        """Return how many deliveries of each message, by its number, do not count."""
        return await asyncio.gather(*(self._read(connection, place, number) for number in numbers))

    async def _write(self, connection: Connection, place: Place, uncounted: Mapping[int, int]) -> None:
        await asyncio.gather(
            *(connection.ask(self._of(place, number), b"%d" % amount) for number, amount in uncounted.items())
        )

    async def _read(self, connection: Connection, place: Place, number: int) -> int:
        try:
            found = await connection.ask(f"{self._api}.DIRECT.GET.{self._stream}.{self._of(place, number)}")
        except errors.NoRespondersError:
            return 0
        return int(found.data) if found.data.isdigit() else 0

    def _of(self, place: Place, number: int) -> str:
        whole = f"{place.stream}|{place.born}|{place.consumer}"
        return f"{self._subject}.{sha256(whole.encode()).hexdigest()[:32]}.{number}"

    async def _make(self, connection: Connection) -> None:
        config = {
            "name": self._stream,
            "subjects": [f"{self._subject}.>"],
            "retention": "limits",
            "storage": "file",
            "num_replicas": self._settings.replicas,
            "max_msgs_per_subject": 1,
            "max_age": _KEPT_S * NANOSECONDS,
            "allow_direct": True,
        }
        try:
            await connection.api(f"{self._api}.STREAM.CREATE.{self._stream}", **config)
        except JetStreamError as error:
            if error.number != STREAM_EXISTS:
                raise
