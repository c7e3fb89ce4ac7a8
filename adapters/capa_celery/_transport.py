"""Capa as a transport of kombu, for code that takes a connection, a channel, a producer or a consumer from the app.

Task messages do not pass here: `_sender` and the worker use pub/sub directly, which is several times faster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty
from typing import Any

from kombu import Connection as KombuConnection
from kombu.exceptions import ChannelError
from kombu.transport import base, virtual
from kombu.utils import json as kombu_json

from capa_celery._errors import unsupported
from capa_celery._queues import GROUP
from capa_celery._sender import CONTENT_TYPE
from capa_core import default_runtime
from capa_core.blocks.pubsub import Intake, Message
from capa_core.errors import CapaError, DeadlineError, ExhaustedError, UnavailableError

OPTION = "capa_logical_name"
PASSING = (UnavailableError, DeadlineError, ExhaustedError)
"""The errors that a retry may help."""

LEASE_S = 30.0
"""Renewed for as long as the channel is open: the messages of a killed process come back after it."""


class Channel(virtual.Channel):  # type: ignore[misc] # kombu is not typed
    """A channel whose queues are topics of one pub/sub component."""

    supports_fanout = True
    do_restore = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._intakes: dict[str, Intake] = {}
        self._held: dict[str, tuple[Intake, Message]] = {}

    @property
    def _pubsub(self) -> Any:
        return default_runtime().pubsub(self.connection.client.transport_options[OPTION])

    def _put(self, queue: str, message: dict[str, Any], **_: Any) -> None:
        with _refusals_as_channel_errors():
            self._pubsub.publish(queue, _dumps(message), content_type=CONTENT_TYPE, raw=True)

    def _put_fanout(self, exchange: str, message: object, routing_key: str, **_: Any) -> None:  # noqa: ARG002
        raise unsupported(
            f"Broadcasting through exchange {exchange!r} (remote control and events)",
            instead="Task queues on fanout exchanges work.",
            section="remote-control",
        )

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        intake = self._intakes.get(queue)
        if intake is None:
            with _refusals_as_channel_errors():
                intake = self._pubsub.intake(queue, GROUP, lease=LEASE_S, raw=True)
            self._intakes[queue] = intake
        received = intake.receive(1, timeout or 0.0)
        if not received:
            raise Empty
        payload = kombu_json.loads(received[0].data)
        tag = payload["properties"]["delivery_tag"] = received[0].id
        self._held[tag] = (intake, received[0])
        payload["properties"].setdefault("delivery_info", {"exchange": "", "routing_key": queue})
        payload["properties"].setdefault("body_encoding", None)
        return payload

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge a message that `basic_get` or a consumer of this channel received."""
        super().basic_ack(delivery_tag, multiple)
        self._settle(delivery_tag, Intake.ack)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Requeue a message, or drop it."""
        self.qos._delivered.pop(delivery_tag, None)
        self._settle(delivery_tag, Intake.nack if requeue else Intake.ack)

    def _settle(self, delivery_tag: str, settle: Callable[[Intake, list[Message]], object]) -> None:
        held = self._held.pop(delivery_tag, None)
        if held is not None:
            settle(held[0], [held[1]])

    def _purge(self, queue: str) -> int:
        with _refusals_as_channel_errors():
            return int(self._pubsub.purge(queue))

    def _size(self, queue: str) -> int:
        with _refusals_as_channel_errors():
            return int(self._pubsub.depth(queue, GROUP))

    def _queue_bind(self, *_: Any) -> None:
        """Bindings are kept by kombu, for this process."""

    def _new_queue(self, queue: str, **_: Any) -> None:
        """Do nothing: topics are created by use."""

    def _has_queue(self, queue: str, **_: Any) -> bool:  # noqa: ARG002
        return True

    def _delete(self, queue: str, *_: Any, **__: Any) -> None:
        self._purge(queue)

    def close(self) -> None:
        """Release messages that were received and not settled."""
        super().close()
        while self._intakes:
            self._intakes.popitem()[1].close()


class Transport(virtual.Transport):  # type: ignore[misc] # kombu is not typed
    """The transport of every connection of a Capa application."""

    Channel = Channel
    driver_type = "capa"
    driver_name = "capa"
    default_port = 0
    can_parse_url = True
    polling_interval = 0.1
    global_state = virtual.BrokerState()
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset({"direct", "topic", "fanout"})
    )
    # Refusals are in neither: kombu's callers would try again for ever, or report them as a broker that is away.
    connection_errors = (*base.Transport.connection_errors, *PASSING)
    channel_errors = base.Transport.channel_errors

    def __init__(self, client: KombuConnection, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = self.global_state

    def driver_version(self) -> str:
        """Return the version of the driver that kombu shows."""
        return "N/A"


class Connection(KombuConnection):  # type: ignore[misc] # kombu is not typed
    """A kombu connection to the pub/sub component of an application; no address is ever connected to.

    Args:
        url: The legacy address. It is kept for clones alone.
        logical_name: The pub/sub component.
    """

    def __init__(self, url: Any = None, *_: Any, logical_name: str = "celery", **__: Any) -> None:
        super().__init__(transport=Transport, transport_options={OPTION: logical_name})
        self.legacy_url = url

    def as_uri(self, *_: Any, **__: Any) -> str:
        """Return the name of the component, for banners and logs."""
        return f"capa://{self.transport_options[OPTION]}"

    def clone(self, **_: Any) -> Connection:
        """Return another connection to the same component."""
        return Connection(self.legacy_url, logical_name=self.transport_options[OPTION])


@contextmanager
def _refusals_as_channel_errors() -> Iterator[None]:
    """Raise kombu's error for an argument that the component refuses, such as an empty name of a queue.

    Errors that a retry may help are left unchanged: they are among the transport's `connection_errors`.
    """
    try:
        yield
    except CapaError as error:
        if error.retryable:
            raise
        raise ChannelError(str(error)) from error


def _dumps(message: dict[str, Any]) -> bytes:
    try:
        return json.dumps(message).encode()
    except TypeError:
        return str(kombu_json.dumps(message)).encode()
