"""Messages of a stream, read page by page without receiving them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import NamedTuple

from nats import errors
from nats.aio.msg import Msg

from capa_core.components.nats._clock import seconds_of
from capa_core.components.nats._connection import Connection, status_of
from capa_core.components.nats._link import Link

_PAGE = 100


class Stored(NamedTuple):
    """A message in a stream."""

    number: int
    subject: str
    headers: dict[str, str]
    body: bytes
    stored_at: float


def stored(link: Link, stream: str, subject: str, after: int = 0) -> Iterator[Stored]:
    """Yield the messages of a subject, which may have wildcards, in their order, behind the number *after*."""
    wanted = {"next_by_subj": subject, "batch": _PAGE}
    while True:
        page = link.call(_Page(f"{link.prefix}.DIRECT.GET.{stream}", wanted | {"seq": after + 1}).read)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].number


class _Page:
    """The answers to one request."""

    def __init__(self, request: str, wanted: dict[str, object]) -> None:
        self._request = request
        self._wanted = wanted
        self._found: list[Stored] = []

    async def read(self, connection: Connection) -> list[Stored]:
        """Return the messages; none if there is no such stream."""
        self._ended = asyncio.Event()
        number, inbox = connection.inbox(self._on_message)
        try:
            request = json.dumps(self._wanted).encode()
            await connection.client.publish(self._request, request, reply=f"{inbox}.0")
            async with asyncio.timeout(connection.limit_s):
                await self._ended.wait()
        except TimeoutError:
            connection.give_up("a look at messages was not answered")
            raise errors.TimeoutError from None
        finally:
            connection.leave(number)
        return self._found

    def _on_message(self, _: str, message: Msg) -> None:
        headers = message.headers or {}
        if status_of(message):
            self._ended.set()
            return
        at = seconds_of(headers["Nats-Time-Stamp"])
        self._found.append(
            Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], headers, message.data, at)
        )
