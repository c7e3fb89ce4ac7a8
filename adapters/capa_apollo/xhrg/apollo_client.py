"""In place of `apollo.apollo_client` and `apollo_client`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from capa_apollo._key_changes import key_changes
from capa_apollo._namespaces import Namespaces
from capa_apollo._space import DEFAULT_CLUSTER, IfMissing, space_at
from capa_apollo._tuple_listeners import TupleListener, as_cached, notify
from capa_apollo._wire_names import CONFIGURATIONS
from capa_apollo.client import CONNECTION_ARGUMENTS

EventListener = Callable[[dict[str, Any]], object]


class ApolloClient:
    """The constructors, the methods and the attributes of both originals; values come from Capa.

        ApolloClient(config_url, app_id, cluster, secret, start_hot_update, change_listener, _notification_map)
        ApolloClient(config_url, app_id, namespaces, cluster)                                # a list as third

    *change_listener* is called as `f(action, namespace, key, value)` from the construction on, *value_change_listeners*
    as `f({"action", "namespace", "key", "value", "old_value"})` from `start` on, or with `auto_update_enabled`.
    """

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        config_url: str | None = None,
        app_id: str | None = None,
        cluster: str | Iterable[str] | None = None,
        secret: str | None = None,
        start_hot_update: bool | str = True,
        change_listener: TupleListener | None = None,
        _notification_map: Mapping[str, int] | None = None,
        *,
        namespaces: Iterable[str] | None = None,
        value_change_listeners: list[EventListener] | None = None,
        auto_update_enabled: bool = False,
        **ignored: object,
    ) -> None:
        if unknown := ignored.keys() - CONNECTION_ARGUMENTS:
            raise TypeError(f"ApolloClient.__init__() got an unexpected keyword argument {min(unknown)!r}")
        if not (config_url and app_id) and ignored.get("enable_dotenv", True):
            from dotenv import load_dotenv

            load_dotenv()
        if cluster is not None and not isinstance(cluster, str):
            namespaces, cluster, secret = cluster, secret, None
        self.config_url = config_url or _required("APOLLO_META_SERVER_ADDRESS")
        self.app_id = app_id or _required("APOLLO_APP_ID")
        self.cluster = cluster or os.environ.get("APOLLO_CLUSTER", DEFAULT_CLUSTER)
        self.secret = secret or ""
        self.ip = "127.0.0.1"
        self._stopping = False
        self._cache: dict[str, dict[str, dict[str, str]]] = {}
        self._change_listener = change_listener
        self._value_change_listeners = value_change_listeners if value_change_listeners is not None else []
        self._notification_map = dict(_notification_map or dict.fromkeys(_names(namespaces), -1))
        self._namespaces = Namespaces(self._space, self._cache, as_cached, IfMissing.REPORT)
        if change_listener is not None and start_hot_update:
            self._namespaces.listen_to_releases(self._told)
        if auto_update_enabled:
            self.start()

    def get_value(self, key: str, default_val: Any = None, namespace: str = "application") -> Any:
        """Return the text at *key*, or *default_val*, also if the engine does not answer and nothing was read yet."""
        try:
            return self._cache[namespace][CONFIGURATIONS].get(key, default_val)
        except KeyError:
            held = self._opened(namespace)
            return default_val if held is None else held.get(key, default_val)

    def get_config(self, namespace: str = "application") -> dict[str, str] | None:
        """Return all keys and texts of *namespace*, or `None` if nothing could be read yet."""
        return self._opened(namespace)

    def get_json_from_net(self, namespace: str = "application") -> dict[str, dict[str, str]] | None:
        """Return `{"configurations": {…}}` straight from the engine, or `None` if it does not answer."""
        held = self._namespaces.read_or_report(namespace)
        return None if held is None else as_cached(namespace, held)

    def add_value_change_listener(self, listener: EventListener) -> None:
        """Call *listener* for each change with `{"action", "namespace", "key", "value", "old_value"}`."""
        self._value_change_listeners.append(listener)

    def update_configs(self) -> None:
        """Read the namespaces that the client was made with."""
        for namespace in self._notification_map:
            self._opened(namespace)

    def start(self) -> None:
        """Call listeners from now on, also after `stop`. Twice does the same as once."""
        self._stopping = False
        self._namespaces.resume()
        self._namespaces.listen_to_releases(self._told)
        self.update_configs()

    def stop(self) -> None:
        """Leave the values as they are from now on, and call no listener. Twice does nothing."""
        self._stopping = True
        self._namespaces.stop()

    def _opened(self, namespace: str) -> dict[str, str] | None:
        held: dict[str, dict[str, str]] | None = self._namespaces.open_or_report(namespace)
        return None if held is None else held[CONFIGURATIONS]

    def _space(self) -> Any:
        return space_at(self.config_url, self.app_id, self.cluster)

    def _told(self, namespace: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        before, after = old[CONFIGURATIONS], new[CONFIGURATIONS]
        if self._change_listener is not None:
            notify(self._change_listener, namespace, before, after)
        try:
            for action, key, old_value, value in key_changes(before, after):
                event = {"action": action, "namespace": namespace, "key": key, "value": value}
                for listener in self._value_change_listeners:
                    listener(event | {"old_value": old_value})
        except Exception:
            # As in the original: it ends the calls for this release.
            logging.getLogger(__name__).exception("an Apollo change listener failed")


def _names(namespaces: Iterable[str] | None) -> list[str]:
    return list(namespaces) if namespaces else os.environ.get("APOLLO_NAMESPACES", "application").split(",")


def _required(variable: str) -> str:
    value = os.environ.get(variable)
    if value is None:
        raise RuntimeError(f"{variable} environment variable not set")
    return value
