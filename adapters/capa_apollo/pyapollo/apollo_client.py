"""In place of `pyapollo.apollo_client` and `pyapollos.apollo_client`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from capa_apollo._space import space_at
from capa_apollo.client import CONNECTION_ARGUMENTS, Namespaces
from capa_apollo.config import ConfigChangeEvent
from capa_core.supervision import SupervisedThread

POLL_S = 60.0
"""How long Apollo's server holds a poll."""


class ApolloClient:
    """The constructor, the methods and the attributes of the original; values come from Capa.

    The fourth argument is the seconds of a poll (filamoon), or the environment (BruceWW) if it is a text. Addresses,
    addresses of the caller, time-outs and cache paths are accepted and not needed; see docs/differences/apollo.md.
    """

    def __init__(
        self,
        app_id: str,
        cluster: str = "default",
        config_server_url: str = "http://localhost:8080",
        timeout: float | str = 35,
        ip: str | None = None,
        *,
        namespaces: Iterable[str] | None = None,
        **ignored: object,
    ) -> None:
        if unknown := ignored.keys() - CONNECTION_ARGUMENTS:
            raise TypeError(f"ApolloClient.__init__() got an unexpected keyword argument {min(unknown)!r}")
        self.config_server_url = config_server_url
        self.appId = self.app_id = app_id
        self.cluster = cluster
        self.timeout = timeout
        self.stopped = False
        self.init_ip(ip)
        self._stopping = False
        self._cache: dict[str, dict[str, str]] = {}
        self._notification_map = dict.fromkeys(namespaces or ["application"], -1)
        self._namespaces = Namespaces(self._space, self._cache, lambda _namespace, held: held, required=True)
        self._listeners: list[Any] = []
        self._watched: dict[str, Callable[[Any], object]] = {}

    def init_ip(self, ip: str | None) -> None:
        """Keep *ip*, which the original sends for grey releases."""
        self.ip = ip or "127.0.0.1"

    def get_value(
        self,
        key: str,
        default_val: Any = None,
        namespace: str = "application",
        auto_fetch_on_cache_miss: bool = False,
    ) -> Any:
        """Return the text at *key*, or *default_val*. The namespace of a document has its text under `content`.

        Raises:
            NotFoundError: The component has no such namespace.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        try:
            held = self._cache[namespace]
        except KeyError:
            self._notification_map.setdefault(namespace, -1)
            held = self._namespaces.open(namespace)
        if key not in held and auto_fetch_on_cache_miss:
            return self._cached_http_get(key, default_val, namespace)
        return held.get(key, default_val)

    def start(
        self, use_eventlet: bool = False, eventlet_monkey_patch: bool = False, catch_signals: bool = True
    ) -> None:
        """Read the namespaces named so far; they are live from then on. Twice does nothing more.

        Signals are left alone and eventlet is not needed, with any arguments. A thread is started only for a
        subclass that has a `_listener` or `_long_poll` of its own; an exception that it raises is logged, and it
        starts again after a second.

        Raises:
            NotFoundError: The component has not one of the namespaces.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        del use_eventlet, eventlet_monkey_patch, catch_signals
        self._stopping = self.stopped = False
        if not self._cache:
            self._long_poll()
        self._namespaces.resume()
        if self._has_own_loop():
            # Started again while it stops, it sees that and sets `stopped`.
            SupervisedThread("capa-apollo-listener", self._listener, stopping=lambda: False).start()

    def stop(self) -> None:
        """Leave the values as they are from now on. Twice does nothing."""
        self._stopping = True
        self._namespaces.stop()
        if not self._has_own_loop():
            self.stopped = True

    def add_listener(self, listener: object) -> None:
        """Set the attributes of *listener* that are named like keys, now and at each change (apollo-client3)."""
        self._listeners.append(listener)
        for namespace in self._notification_map:
            self._set_attributes(listener, self._namespaces.open(namespace))
        self._namespaces.listen(self._told)

    def watch_key_change(self, key: str, func: Callable[[Any], object]) -> None:
        """Call *func* with the new value when an attribute named *key* of a listener changes (apollo-client3)."""
        self._watched[key] = func

    # Methods that subclasses of the original override or call

    def _long_poll(self) -> None:
        """Read the namespaces that were not read yet; if there are none, wait for a change, with a limit."""
        missing = [name for name in self._notification_map if name not in self._cache]
        for name in missing:
            self._namespaces.open(name)
        if not missing:
            self._namespaces.wait(
                min(float(self.timeout), POLL_S) if not isinstance(self.timeout, str) else POLL_S
            )

    def _listener(self) -> None:
        while not self._stopping:
            self._long_poll()
        self.stopped = True

    def _cached_http_get(self, key: str, default_val: Any, namespace: str = "application") -> Any:
        return self._namespaces.read(namespace).get(key, default_val)

    def _uncached_http_get(self, namespace: str = "application") -> None:
        self._cache[namespace] = self._namespaces.read(namespace)

    def _space(self) -> Any:
        return space_at(self.config_server_url, self.app_id, self.cluster)

    def _has_own_loop(self) -> bool:
        # Not by the name `ApolloClient`, which tests replace.
        own, ours = type(self), __class__  # type: ignore[name-defined]
        return own._listener is not ours._listener or own._long_poll is not ours._long_poll

    def _told(self, event: ConfigChangeEvent) -> None:
        for listener in self._listeners:
            self._set_attributes(listener, self._cache[event.namespace])

    def _set_attributes(self, listener: Any, held: dict[str, str]) -> None:
        for name in dir(listener):
            if name in held and not name.startswith("__") and not callable(getattr(listener, name)):
                self._set_attribute(listener, name, held[name])

    def _set_attribute(self, listener: Any, name: str, text: str) -> None:
        old = getattr(listener, name)
        try:
            # As in the original: a number keeps its type.
            new: Any = type(old)(text) if isinstance(old, int | float) and not isinstance(old, bool) else text
        except ValueError:
            logging.getLogger(__name__).warning("Apollo key %s does not fit %s", name, type(old).__name__)
            return
        if new != old:
            setattr(listener, name, new)
            if name in self._watched:
                self._watched[name](new)
