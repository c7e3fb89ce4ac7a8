"""In place of `pyapollo.apollo_client` and `pyapollos.apollo_client`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._space import IfMissing, space_at
from capa_apollo.client import CONNECTION_ARGUMENTS
from capa_apollo.pyapollo.exceptions import (
    BasicException,
    NameSpaceNotFoundException,
    ServerNotResponseException,
)
from capa_core.supervision import SupervisedThread

__all__ = [
    "ApolloClient",
    "BasicException",
    "NameSpaceNotFoundException",
    "ServerNotResponseException",
]

POLL_S = 60.0
"""How long Apollo's server holds a poll."""


_GROWN = frozenset(
    {
        *("env", "cycle_time", "cache_file_path", "authorization"),
        *("admin_server_url", "exceptNamespaces", "logger"),
    }
)
"""Arguments that BruceWW's client and apollo-client3 have, and filamoon's has not."""


class ApolloClient:
    """The constructor, the methods and the attributes of the originals; values come from Capa.

    The fourth argument is the seconds of a poll (filamoon), or a text: the environment (BruceWW) or the address of
    the admin service (apollo-client3). With one of theirs, the client logs where filamoon's raises, as they do.
    Addresses, time-outs and cache paths are accepted and not needed; see docs/differences/apollo.md.
    """

    def __init__(
        self,
        app_id: str,
        cluster: str = "default",
        config_server_url: str = "http://localhost:8080",
        timeout: float | str = 35,
        ip: str | None = None,
        *more: object,
        namespaces: Iterable[str] | None = None,
        **ignored: object,
    ) -> None:
        if unknown := ignored.keys() - CONNECTION_ARGUMENTS:
            raise TypeError(f"ApolloClient.__init__() got an unexpected keyword argument {min(unknown)!r}")
        if more and isinstance(more[0], list | tuple):
            namespaces = more[0]  # the sixth of apollo-client3
        self._logs = bool(more or isinstance(timeout, str) or namespaces or ignored.keys() & _GROWN)
        self.config_server_url = config_server_url
        self.appId = self.app_id = app_id
        self.cluster = cluster
        self.timeout = timeout
        self.stopped = False
        self.init_ip(ip)
        self._stopping = False
        self._cache: dict[str, dict[str, str]] = {}
        self._notification_map = dict.fromkeys(namespaces or ["application"], -1)
        if_missing = IfMissing.REPORT if self._logs else IfMissing.RAISE_ELSEWHERE
        self._namespaces = Namespaces(self._space, self._cache, texts_alone, if_missing)
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

        A client with arguments of BruceWW's or apollo-client3 logs the errors, and returns the default.

        Raises:
            NotFoundError: The component has no such namespace.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        try:
            held = self._cache[namespace]
        except KeyError:
            self._notification_map.setdefault(namespace, -1)
            held = self._opened(namespace)
        if auto_fetch_on_cache_miss and key not in held:
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
        self._namespaces.listen_to_releases(self._told)
        for namespace in self._notification_map:
            self._set_attributes(listener, self._opened(namespace))

    def watch_key_change(self, key: str, func: Callable[[Any], object]) -> None:
        """Call *func* with the new value when an attribute named *key* of a listener changes (apollo-client3)."""
        self._watched[key] = func

    # Methods that subclasses of the original override or call

    def _long_poll(self) -> None:
        """Read the namespaces that were not read yet; if there are none, wait for a change, with a limit."""
        missing = [name for name in self._notification_map if name not in self._cache]
        for name in missing:
            self._opened(name)
        if not missing:
            self._namespaces.wait(
                min(float(self.timeout), POLL_S) if not isinstance(self.timeout, str) else POLL_S
            )

    def _listener(self) -> None:
        while not self._stopping:
            self._long_poll()
        self.stopped = True

    def _cached_http_get(self, key: str, default_val: Any, namespace: str = "application") -> Any:
        read = self._namespaces.read_or_report if self._logs else self._namespaces.read
        return (read(namespace) or {}).get(key, default_val)

    def _uncached_http_get(self, namespace: str = "application") -> None:
        self._cache[namespace] = self._namespaces.read(namespace)

    def _space(self) -> Any:
        return space_at(self.config_server_url, self.app_id, self.cluster)

    def _has_own_loop(self) -> bool:
        # Not by the name `ApolloClient`, which tests replace.
        own, ours = type(self), __class__  # type: ignore[name-defined]
        return own._listener is not ours._listener or own._long_poll is not ours._long_poll

    def _opened(self, namespace: str) -> dict[str, str]:
        if self._logs:
            return self._namespaces.open_or_report(namespace) or {}
        held: dict[str, str] = self._namespaces.open(namespace)
        return held

    def _told(self, _namespace: str, _old: dict[str, str], new: dict[str, str]) -> None:
        for listener in self._listeners:
            self._set_attributes(listener, new)

    def _set_attributes(self, listener: Any, held: dict[str, str]) -> None:
        for name in dir(listener):
            # As in the original: the environment wins.
            text = os.environ.get(name, held.get(name))
            if text is not None and not name.startswith("__") and not callable(getattr(listener, name)):
                self._set_attribute(listener, name, text)

    def _set_attribute(self, listener: Any, name: str, text: str) -> None:
        log, old = logging.getLogger(__name__), getattr(listener, name)
        try:
            # As in the original: a number keeps its type, and a truth value is true for every text but the empty one.
            new: Any = type(old)(text) if isinstance(old, int | float) else text
        except ValueError:
            log.warning("Apollo key %s does not fit %s", name, type(old).__name__)
            return
        if new == old:
            return
        try:
            self._watched.get(name, lambda _new: None)(new)
        except Exception:
            log.exception("the function that watches the Apollo key %s failed", name)
        setattr(listener, name, new)
