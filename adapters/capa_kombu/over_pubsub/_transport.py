"""Capa as a transport of kombu: connections, channels, producers and consumers of kombu run over it."""

from __future__ import annotations

import math
import time
from functools import cached_property
from queue import Empty
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, base, get_transport_cls, virtual

from capa_core.blocks.pubsub import PubSubFeature
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError
from capa_core.shims import current_runtime, logical_name, scheme_of
from capa_kombu._sdk import SDK
from capa_kombu.over_pubsub._channel import Channel
from capa_kombu.over_pubsub._errors import PASSING
from capa_kombu.over_pubsub._priorities import engine_priority
from capa_kombu.over_pubsub._routing import EXCHANGE_TYPES
from capa_kombu.over_pubsub._topology import Topology

logger = named_logger("kombu.capa")
LONGEST_WAIT_S = 1.0
OWN_SCHEME = "capa"
NAME = "kombu"
"""The logical name of queues and of what is declared about them, where no legacy address names another."""


class Transport(virtual.Transport):  # type: ignore[misc] # kombu is not typed
    """The transport of every connection that Capa serves."""

    Channel = Channel
    driver_type = "capa"
    driver_name = "capa"
    polling_interval = 0.1
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=EXCHANGE_TYPES, heartbeats=False
    )
    # Refusals are in neither: kombu's callers would try again for ever, or report them as a broker that is away.
    connection_errors = (*base.Transport.connection_errors, *PASSING)
    channel_errors = base.Transport.channel_errors

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.exclusive_queues: set[str] = set()
        self._warned = False

    @property
    def address(self) -> str:
        """The legacy address that chooses the components."""
        return address_of(self.client)

    @cached_property
    def scheme(self) -> str:
        """The kind of broker that the application was written for, such as `amqp` or `redis`."""
        scheme = scheme_of(self.address)
        if scheme == OWN_SCHEME:
            scheme = scheme_of(current_runtime().legacy_addresses("pubsub", self.names[0]))
        return scheme

    @cached_property
    def names(self) -> tuple[str, str]:
        """The logical names of the pub/sub and of the state component."""
        found = [logical_name(block, self.address) for block in ("pubsub", "state")]
        pubsub = found[0] or NAME
        return pubsub, found[1] or pubsub

    @property
    def pubsub(self) -> Any:
        """The pub/sub component that keeps the messages."""
        return current_runtime().pubsub(self.names[0])

    @property
    def topology(self) -> Topology:
        """The declared exchanges, queues and bindings."""
        return Topology(current_runtime().state(self.names[1]))

    @cached_property
    def lease_s(self) -> float:
        """Seconds after which the messages of a killed consumer come back."""
        from capa_core.shims.settings import adapter_settings
        from capa_kombu._settings import KombuSettings

        return adapter_settings(current_runtime(), SDK, KombuSettings).lease_s

    @property
    def default_connection_params(self) -> dict[str, Any]:
        """The parts of an address that are left out in it: those of the transport that the application names."""
        named = self.client.transport_cls
        if not isinstance(named, str) or named == OWN_SCHEME:
            return {"hostname": "localhost"}
        try:
            original = get_transport_cls(named)
            return dict(original(client=self.client).default_connection_params)
        except (ImportError, KeyError, TypeError):  # its library is not installed, and not needed
            return {"hostname": "localhost"}

    def priority(self, given: Any) -> int:
        """Return the priority in pub/sub of a message with the priority *given*."""
        pubsub = self.pubsub
        if pubsub.features[PubSubFeature.PRIORITY]:
            return engine_priority(given, self.scheme)
        if given and not self._warned:
            self._warned = True
            logger.warning("priority is ignored: pub/sub component %r has no priorities", pubsub.name)
        return 0

    def establish_connection(self) -> Any:
        """Return the connection, once the engine has answered.

        Raises:
            SettingsError: capa.toml names no component.
            UnavailableError: The engine did not answer.
        """
        from capa_core.shims.elsewhere import tell_if_elsewhere

        pubsub = self.pubsub
        _ = self.topology
        pubsub.ping()
        tell_if_elsewhere("pubsub", pubsub, self.address, go="messages go")
        return self.connect()

    def connect(self) -> Any:
        """Return the connection, without asking the engine."""
        return super().establish_connection()

    def close_connection(self, connection: Any) -> None:
        """Close all channels, and delete the exclusive queues of the connection."""
        super().close_connection(connection)
        while self.exclusive_queues:
            name = self.exclusive_queues.pop()
            try:
                self.topology.delete_queue(name)
                self.pubsub.purge(name)
            except CapaError as error:
                logger.warning("the exclusive queue %r ends by its time only: %s", name, error)

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:  # noqa: ARG002 - kombu's signature
        """Deliver one message of any channel.

        Raises:
            TimeoutError: None came within *timeout* seconds.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            now = time.monotonic()
            consuming = sum(bool(channel._consumers) for channel in self.channels)
            wait_s = max(0.0, min(LONGEST_WAIT_S, end - now)) if consuming == 1 else 0.0
            try:
                self.cycle.get(self._deliver, timeout=wait_s)
            except Empty:
                if time.monotonic() >= end:
                    raise TimeoutError from None
                time.sleep(max(0.0, min(now + self.polling_interval, end) - time.monotonic()))
            else:
                return

    def driver_version(self) -> str:
        """Return the version of the driver that kombu shows."""
        return "N/A"


def address_of(client: Any) -> str:
    """Return the address of a connection as its application wrote it, or as kombu would write it."""
    written = getattr(client, "written_address", "")
    if written:
        return str(written)
    try:
        return str(client.as_uri(include_password=True))
    except (CapaError, TypeError, ValueError, AttributeError):
        return ""


class NamedTransport(Transport):
    """The transport of addresses that are logical names: `capa://orders`."""

    can_parse_url = True

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: ARG002 - kombu's
        """Return the address as it is: it holds no password."""
        return uri


# Also for code that no rewrite changes: `kombu.Connection("capa://orders")`.
TRANSPORT_ALIASES.setdefault(OWN_SCHEME, f"{__name__}:NamedTransport")
