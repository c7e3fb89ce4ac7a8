"""Capa as a transport of kombu, for code that takes a connection, a channel, a producer or a consumer from the app.

Task messages do not pass here: `_sender` and the worker use pub/sub directly, which is several times faster.
"""

from __future__ import annotations

from collections.abc import Collection
from queue import Empty
from typing import Any

from kombu import Connection as KombuConnection
from kombu.transport.virtual.base import queue_declare_ok_t

from capa_celery._broadcasts import Listener, Listeners
from capa_celery._sender import CONTENT_TYPE
from capa_core.shims import current_runtime
from capa_kombu import over_pubsub
from capa_kombu.over_pubsub import dumps, key_matches, refusals_as_channel_errors

OPTION = "capa_logical_name"
STATE = "capa_state_name"
LISTENED = "capa_listened_exchanges"
"""The exchanges of control, replies and events: what is published to one is for those who listen by then."""

LEASE_S = 30.0
"""Renewed for as long as the channel is open: the messages of a killed process come back after it."""


class Channel(over_pubsub.Channel):
    """A channel of kombu whose fanout exchanges, and those of control and events, are broadcasts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listeners: dict[str, Listener] = {}
        self._keys: dict[str, set[tuple[str, str]]] = {}

    @property
    def _state(self) -> Any:
        return current_runtime().state(self._transport.names[1])

    def exchange_declare(
        self,
        exchange: str | None = None,
        type: str | None = "direct",  # noqa: A002 - kombu's name
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Declare an exchange; those of control and events are known to every application, each in its process."""
        if exchange in self._transport.listened:
            self.state.exchanges[exchange] = {"type": type or "direct"}
        else:
            super().exchange_declare(exchange, type, *args, **kwargs)

    def basic_publish(
        self, message: dict[str, Any], exchange: str = "", routing_key: str = "", *args: Any, **kwargs: Any
    ) -> None:
        """Publish a message, as a broadcast where the exchange is one."""
        if not self._is_broadcast(exchange):
            super().basic_publish(message, exchange, routing_key, *args, **kwargs)
            return
        self._inplace_augment_message(message, exchange, routing_key)
        with refusals_as_channel_errors():
            if exchange not in self._transport.listened or Listeners(self._state, exchange).any():
                self._pubsub.publish(exchange, dumps(message), content_type=CONTENT_TYPE, raw=True)

    def _is_broadcast(self, exchange: str) -> bool:
        return bool(exchange) and (exchange in self._transport.listened or self._type(exchange) == "fanout")

    def _type(self, exchange: str) -> str:
        if exchange in self._transport.listened:
            return str(self.state.exchanges.get(exchange, {}).get("type", "direct"))
        found = self._topology.exchange(exchange)
        return found.type if found else "direct"

    def queue_declare(
        self, queue: str | None = None, passive: bool = False, *args: Any, **kwargs: Any
    ) -> Any:
        """Declare a queue; one that ends with its consumer is empty, and its group is made when it is bound."""
        if queue and not passive and kwargs.get("auto_delete"):
            return queue_declare_ok_t(queue, 0, 0)
        return super().queue_declare(queue, passive, *args, **kwargs)

    def queue_bind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: Any = None,
        **kwargs: Any,
    ) -> None:
        """Bind a queue to an exchange; to a broadcast, it is a listener of this channel from now on."""
        if exchange is None or not self._is_broadcast(exchange):
            super().queue_bind(queue, exchange, routing_key, arguments, **kwargs)
            return
        keys = self._keys.setdefault(queue, set())
        keys.add((self._type(exchange), routing_key or ""))
        if queue not in self._listeners:
            with refusals_as_channel_errors():
                self._listeners[queue] = Listener(
                    self._pubsub,
                    self._state,
                    exchange,
                    lambda key: any(key_matches(each, key) for each in keys),
                )

    def queue_delete(
        self, queue: str, if_unused: bool = False, if_empty: bool = False, **kwargs: Any
    ) -> None:
        """Delete a queue; one that listens to a broadcast does so no more."""
        listener = self._listeners.pop(queue, None)
        if listener is None:
            super().queue_delete(queue, if_unused, if_empty, **kwargs)
            return
        del self._keys[queue]
        listener.close()

    def _begin(self, queue: str) -> None:
        if queue not in self._listeners:
            super()._begin(queue)

    def _poll(self, cycle: Any, callback: Any, timeout: float | None = None) -> Any:
        """Deliver a message; wait for one if all that this channel consumes is one broadcast."""
        if len(self._active_queues) != 1 or self._active_queues[0] not in self._listeners:
            return super()._poll(cycle, callback, timeout)
        if timeout and not self._listeners[self._active_queues[0]].wait(timeout):
            raise Empty
        return super()._poll(cycle, callback)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        if queue in self._listeners:
            return self._listeners[queue].get()
        return super()._get(queue, timeout)

    def close(self) -> None:
        """Release messages that were received and not settled, and listen no more."""
        super().close()
        while self._listeners:
            self._listeners.popitem()[1].close()


class Transport(over_pubsub.Transport):
    """The transport of every connection of a Capa application."""

    Channel = Channel

    @property
    def names(self) -> tuple[str, str]:
        """The logical names of the pub/sub and of the state component."""
        options = self.client.transport_options
        return options[OPTION], options[STATE]

    @property
    def scheme(self) -> str:
        """The name of no broker: arguments of queues that have no effect are accepted, as in Celery's configuration."""
        return "celery"

    @property
    def listened(self) -> frozenset[str]:
        """The exchanges of control, replies and events."""
        found: frozenset[str] = self.client.transport_options[LISTENED]
        return found

    @property
    def lease_s(self) -> float:
        """Seconds after which the messages of a killed process come back."""
        return LEASE_S

    def priority(self, given: Any) -> int:  # noqa: ARG002 - as above
        """Return 0: what a producer of kombu sends has no priority, unlike tasks."""
        return 0

    def establish_connection(self) -> Any:
        """Return the connection. Whether the engine answers shows with the first call: workers retry that."""
        return self.connect()


class Connection(KombuConnection):  # type: ignore[misc] # kombu is not typed
    """A kombu connection to the pub/sub component of an application; no address is ever connected to.

    Args:
        url: The legacy address. It is kept for clones alone.
        logical_name: The pub/sub component.
        state_name: The state component, which lists who listens to broadcasts.
        listened: The exchanges whose messages are for those who listen by then.
    """

    def __init__(
        self,
        url: Any = None,
        *_: Any,
        logical_name: str = "celery",
        state_name: str = "celery",
        listened: Collection[str] = (),
        **__: Any,
    ) -> None:
        options = {OPTION: logical_name, STATE: state_name, LISTENED: frozenset(listened)}
        super().__init__(transport=Transport, transport_options=options)
        self.legacy_url = url

    def as_uri(self, *_: Any, **__: Any) -> str:
        """Return the name of the component, for banners and logs."""
        return f"capa://{self.transport_options[OPTION]}"

    def info(self) -> dict[str, Any]:
        """Return what `inspect stats` shows of it: the fields of kombu, of which few have a meaning here."""
        return {**super().info(), "transport": Transport.driver_type, "transport_options": {}}

    def clone(self, **_: Any) -> Connection:
        """Return another connection to the same component."""
        options = self.transport_options
        return Connection(
            self.legacy_url,
            logical_name=options[OPTION],
            state_name=options[STATE],
            listened=options[LISTENED],
        )
