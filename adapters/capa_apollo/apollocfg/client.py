"""In place of `apollocfg.client`."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from capa_apollo._dict_listeners import (
    DictListener,
    changes_between,
    notify_all,
    on_loop,
    refuse_coroutine_function,
)
from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._space import IfMissing, Space, space_at
from capa_apollo.apollocfg._frozen import Frozen, Keys, by_namespace
from capa_apollo.apollocfg.errors import (
    ApolloError,
    ApolloProtocolError,
    ConfigServiceUnavailable,
    RequiredKeysMissing,
    StartupAssertionFailed,
)
from capa_core.errors import CapaError, DeadlineError
from capa_core.forks import renew_locks_after_fork

__all__ = [
    "DEFAULT_NAMESPACE",
    "ApolloClient",
    "ApolloError",
    "ApolloProtocolError",
    "ChangeCallback",
    "ConfigServiceUnavailable",
    "RequiredKeysMissing",
    "ResolvedAssertion",
    "StartupAssertionFailed",
]

ChangeCallback = DictListener
ResolvedAssertion = Callable[[str, Mapping[str, str]], str | None]
DEFAULT_NAMESPACE = "application"

_SERVER_HOLDS_S = 60
_DOCUMENTS = (".json", ".yml", ".yaml", ".xml", ".txt")


class ApolloClient:
    """The constructor, the methods and the attributes of the original; values come from Capa."""

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        app_id: str,
        config_url: str | None = None,
        meta_server: str | None = None,
        cluster: str = "default",
        namespaces: Sequence[str] | None = None,
        env: str | None = None,
        client_ip: str | None = None,
        access_key_secret: str | None = None,
        required_keys: Keys | None = None,
        frozen_keys: Keys | None = None,
        allow_fallback: bool = True,
        require_resolved_keys: bool = False,
        static_fallback: Mapping[str, Mapping[str, str]] | None = None,
        on_resolved: ResolvedAssertion | None = None,
        poll_timeout: float = 90,
        request_timeout: float = 5,
        poll_interval: float = 2.0,
        max_retry_backoff: float = 30.0,
        refresh_interval: float | None = 300.0,
        startup_timeout: float | None = None,
    ) -> None:
        if not config_url and not meta_server:
            raise ValueError("give config_url or meta_server")
        _check_times(poll_timeout, poll_interval, refresh_interval, startup_timeout)
        self.app_id = app_id
        self.cluster = cluster
        self.env = env
        self.namespaces = list(namespaces or [DEFAULT_NAMESPACE])
        self.client_ip = client_ip
        self.access_key_secret = access_key_secret
        self.allow_fallback = allow_fallback
        self.require_resolved_keys = require_resolved_keys
        self.on_resolved = on_resolved
        self.static_fallback = {name: dict(values) for name, values in (static_fallback or {}).items()}
        self.poll_timeout = poll_timeout
        self.request_timeout = request_timeout
        self.poll_interval = poll_interval
        self.max_retry_backoff = max_retry_backoff
        self.refresh_interval = refresh_interval
        self.startup_timeout = startup_timeout
        self.meta_server = meta_server.rstrip("/") if meta_server else None
        self._config_url = config_url.rstrip("/") if config_url else None
        self.required_keys = by_namespace(required_keys, self.namespaces)
        self.frozen_keys = by_namespace(frozen_keys, self.namespaces)
        self._freezes = any(self.frozen_keys.values())
        self._frozen = Frozen(self.frozen_keys, self.static_fallback)
        self._configs: dict[str, dict[str, str]] = {}
        self._callbacks: list[ChangeCallback] = []
        self._started = False
        self._namespaces = Namespaces(self._space, self._configs, texts_alone, IfMissing.REPORT)
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """Make the lock of `start` and `stop`."""
        self._lifecycle_lock = threading.RLock()

    # Callbacks

    def register_callback(self, cb: ChangeCallback) -> ChangeCallback:
        """Call *cb* with a namespace and its changes, without frozen keys, from `start` on; also a decorator.

        Raises:
            TypeError: *cb* is a coroutine function.
        """
        refuse_coroutine_function(cb, "register_async_callback")
        self._callbacks.append(cb)
        return cb

    def register_async_callback(
        self, cb: Callable[..., Any], loop: asyncio.AbstractEventLoop
    ) -> Callable[..., Any]:
        """Run *cb*, an `async def`, on *loop* for each change.

        Raises:
            TypeError: *cb* is no coroutine function.
        """
        self._callbacks.append(on_loop(cb, loop))
        return cb

    # Reading

    def get_configs(self, namespace: str = DEFAULT_NAMESPACE) -> dict[str, str]:
        """Return the keys and texts of *namespace*, frozen keys as at the start, in a dict of the caller's own."""
        return self._frozen.read(namespace, self._held(namespace))

    def effective_configs(self, namespace: str = DEFAULT_NAMESPACE) -> dict[str, str]:
        """Return `get_configs` over the values of `static_fallback`; a blank text does not hide one."""
        return self._frozen.effective(namespace, self._held(namespace))

    def merged_configs(self, namespaces: Sequence[str] | None = None) -> dict[str, str]:
        """Return the keys of several namespaces without documents, all by default; later ones win."""
        merged: dict[str, str] = {}
        for name in self.namespaces if namespaces is None else namespaces:
            merged |= {} if _is_document(name) else self.get_configs(name)
        return merged

    def get_value(self, key: str, default: Any = None, namespace: str = DEFAULT_NAMESPACE) -> Any:
        """Return the text at *key*, or *default*; a frozen key has the text of the start."""
        if self._freezes and key in self.frozen_keys.get(namespace, ()):
            return self._frozen.text(namespace, key, default)
        try:
            return self._configs[namespace].get(key, default)
        except KeyError:
            return self._held(namespace).get(key, default)

    def get_content(self, namespace: str) -> str | None:
        """Return the text of a document, or `None`."""
        return self.get_configs(namespace).get("content")

    def get_json(self, namespace: str) -> Any:
        """Return what the JSON document *namespace* has.

        Raises:
            ApolloProtocolError: It is no document, has no text, or is no JSON.
        """
        if not _is_document(namespace):
            raise ApolloProtocolError(f"namespace {namespace!r}: the name of a document ends in .json")
        text = self.get_content(namespace)
        if text is None:
            raise ApolloProtocolError(
                f"namespace {namespace!r} has no text. Publish it, or correct the name."
            )
        try:
            return json.loads(text)
        except ValueError as error:
            raise ApolloProtocolError(f"namespace {namespace!r} is no JSON: correct its text") from error

    @property
    def config_url(self) -> str | None:
        """The address that the program named; it is never connected to."""
        return self._config_url

    # Life cycle

    @property
    def running(self) -> bool:
        """Whether it was started, and not stopped since."""
        return self._started

    def start(self) -> None:
        """Read the namespaces, check them, freeze what is to be frozen, and tell callbacks of changes from now on.

        After an error nothing is frozen, and `start` may be called again. Twice does the same as once.

        Raises:
            ConfigServiceUnavailable: No namespace could be read, and `allow_fallback` is false.
            RequiredKeysMissing: A required key has no value, and `require_resolved_keys` is true or
                `allow_fallback` false.
            StartupAssertionFailed: `on_resolved` returned a reason.
        """
        with self._lifecycle_lock:
            if self._started:
                return
            self._namespaces.resume()
            self._load()
            try:
                self._check_required()
                self._ask_program()
            except Exception:
                self._frozen.discard()
                raise
            self._namespaces.listen_to_releases(self._told)
            self._started = True

    def stop(self, timeout: float = 5.0) -> None:
        """Leave the values as they are from now on, and call no callback. Twice does nothing."""
        del timeout
        with self._lifecycle_lock:
            self._started = False
            self._namespaces.stop()

    def close(self) -> None:
        """Do as `stop`."""
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Inside

    def _load(self) -> None:
        failures = self._failures()
        if failures and len(failures) == len(self.namespaces) and not self.allow_fallback:
            first = next(iter(failures.values()))
            attempted = [url for url in (self._config_url, self.meta_server) if url]
            raise ConfigServiceUnavailable(f"no namespace could be read: {first}", attempted) from first
        for name, error in failures.items():
            self._namespaces.put_off(name, error)
        for name in self.namespaces:
            self._frozen.capture(name, self._configs.get(name, {}))

    def _failures(self) -> dict[str, CapaError]:
        failures: dict[str, CapaError] = {}
        end = time.monotonic() + (self.startup_timeout or float("inf"))
        for name in self.namespaces:
            try:
                if time.monotonic() >= end:
                    raise DeadlineError(f"startup_timeout ({self.startup_timeout} s) has passed")
                self._namespaces.open(name)
                self._namespaces.space.view(name, IfMissing.RAISE)
            except CapaError as error:
                failures[name] = error
        return failures

    def _check_required(self) -> None:
        missing = {
            name: {key for key in keys if not self.effective_configs(name).get(key, "").strip()}
            for name, keys in self.required_keys.items()
        }
        if not any(missing.values()):
            return
        error = RequiredKeysMissing(missing)
        if self.require_resolved_keys or not self.allow_fallback:
            raise error
        logging.getLogger(__name__).warning("%s", error)

    def _ask_program(self) -> None:
        if (ask := self.on_resolved) is None:
            return
        for name in self.namespaces:
            if reason := ask(name, self.effective_configs(name)):
                raise StartupAssertionFailed(f"namespace {name}: {reason}")

    def _held(self, namespace: str) -> dict[str, str]:
        held = self._configs.get(namespace)
        if held is None:
            held = self._namespaces.open_or_report(namespace)
        return held or {}

    def _space(self) -> Space:
        return space_at(self._config_url or self.meta_server or "", self.app_id, self.cluster)

    def _told(self, namespace: str, old: dict[str, str], new: dict[str, str]) -> None:
        if changes := changes_between(old, new, self.frozen_keys.get(namespace, ())):
            notify_all(self._callbacks, namespace, changes)


def _is_document(namespace: str) -> bool:
    return namespace.lower().endswith(_DOCUMENTS)


def _check_times(
    poll_timeout: float, poll_interval: float, refresh_interval: float | None, startup_timeout: float | None
) -> None:
    if poll_timeout <= _SERVER_HOLDS_S:
        raise ValueError(
            f"poll_timeout ({poll_timeout} s): a server holds a poll for {_SERVER_HOLDS_S} s, give more"
        )
    if refresh_interval is not None and 0 < refresh_interval <= poll_interval:
        raise ValueError(f"refresh_interval ({refresh_interval} s) must be longer than poll_interval")
    if startup_timeout is not None and startup_timeout <= 0:
        raise ValueError(f"startup_timeout ({startup_timeout} s) must be above 0, or None")
