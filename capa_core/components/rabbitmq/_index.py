"""Lists that the broker keeps: queues whose messages are entries, read without being removed.

AMQP can list neither the exchanges nor the queues of an exchange.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pika import exceptions

from capa_core.components.rabbitmq._connection import Connection
from capa_core.components.rabbitmq._errors import LOCKED, NOT_FOUND
from capa_core.components.rabbitmq._publisher import LASTING, Outgoing, Publish
from capa_core.errors import DeadlineError

_PAUSE_S = 0.02
_READ_BY_ANOTHER = (403, LOCKED)


class Index:
    """Entries of one broker, each a list of values that JSON has."""

    def __init__(self, connect: Callable[[], Connection], publish: Publish, limit_s: float) -> None:
        self._connect = connect
        self._publish = publish
        self._limit_s = limit_s

    def note(self, queue: str, *entry: Any) -> None:
        """Add *entry* to *queue*, which must be there; who reads a list of names takes one that is there twice once."""
        (error,) = self._publish([Outgoing("", queue, json.dumps(entry).encode(), LASTING)])
        if error is not None:
            raise error

    def entries(self, queue: str) -> list[list[Any]]:
        """Return all entries of *queue*, none if it is not there; what another program put there is left out.

        Raises:
            DeadlineError: Others read it all the time: a reader has it for itself.
        """
        end = time.monotonic() + self._limit_s
        while True:
            try:
                return self._read(queue)
            except exceptions.ChannelClosedByBroker as error:
                if error.reply_code == NOT_FOUND:
                    return []
                if error.reply_code not in _READ_BY_ANOTHER:
                    raise
                if time.monotonic() > end:
                    raise DeadlineError(f"the index {queue!r} is read by others all the time") from error
            time.sleep(_PAUSE_S)

    def _read(self, queue: str) -> list[list[Any]]:
        bodies: list[bytes] = []
        channel = self._connect().channel()
        try:
            channel.call(
                "basic_consume",
                queue=queue,
                on_message_callback=lambda *delivery: bodies.append(delivery[3]),
                exclusive=True,
            )
            while channel.call("queue_declare", queue=queue, passive=True).method.message_count:
                pass
            channel.call("basic_qos")  # what the broker sent before this answer has come
        finally:
            channel.close()
        return list(_parsed(bodies))


def _parsed(bodies: list[bytes]) -> Any:
    for body in bodies:
        with suppress(ValueError, RecursionError):
            entry = json.loads(body)
            if isinstance(entry, list):
                yield entry
