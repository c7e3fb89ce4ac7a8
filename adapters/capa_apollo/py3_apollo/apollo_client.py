"""In place of `py3_apollo.apollo_client`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from capa_apollo._namespaces import Namespaces
from capa_apollo._signature import signature
from capa_apollo._space import IfMissing, space_at
from capa_apollo._tuple_listeners import TupleListener, notify
from capa_apollo._wire_names import CONFIGURATIONS, CONTENT, NAMESPACE_NAME, NOTIFICATION_ID, RELEASE_KEY
from capa_core.blocks.configuration import formats

__all__ = ["CONFIGURATIONS", "CONTENT", "NAMESPACE_NAME", "NOTIFICATION_ID", "RELEASE_KEY", "ApolloClient"]


class ApolloClient:
    """The constructor, the methods and the attributes of the original; values come from Capa.

    `APP_ID`, `IDC`, `ENV` and `APOLLO_META` of the environment win over the arguments, as in the original. YAML
    namespaces are read by dotted keys.
    """

    _VARIABLES: ClassVar = {"app_id": "APP_ID", "env": "ENV", "log_level": "LOG_LEVEL"}
    """The variables of the environment in which the clients of this shape differ."""

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        app_id: str = "",
        config_url: str = "http://localhost:8080",
        cluster: str = "default",
        secret: str = "",
        env: str = "DEV",
        need_hot_update: bool = True,
        change_listener: TupleListener | None = None,
        client_ip: str | None = None,
        log_level: str = "INFO",
        notification_map: Mapping[str, int] | None = None,
        cache_path: str | None = None,
    ) -> None:
        self.log_level = self._set_by("log_level", log_level)
        self.app_id = self._set_by("app_id", app_id)
        self.cluster = self.config_setter("IDC", cluster)
        self.secret = self.config_setter("APOLLO_ACCESS_KEY_SECRET", secret) or ""
        self.env = self._set_by("env", env)
        self.client_ip = self.config_setter("CLIENT_IP", client_ip) or "127.0.0.1"
        self.cache_path = cache_path
        self.apollo_meta = os.environ.get(f"{self.env}_META") or self.config_setter("APOLLO_META", config_url)
        self.need_hot_update = need_hot_update
        self.change_listener = change_listener
        self.stopping = False
        self._notification_map = dict(notification_map or {"application": -1})
        self._cache: dict[str, dict[str, Any]] = {}
        is_own = type(self).get_value_from_dict is not _USUAL_READ
        self._read = {} if is_own else self._cache  # a subclass's way of reading is used for each value
        self._namespaces = Namespaces(self._space, self._cache, self._as_cached, IfMissing.REPORT)
        for namespace in self._notification_map:
            self._opened(namespace)
        if need_hot_update and change_listener is not None:
            self._namespaces.listen_to_releases(self._told)

    def get_value(self, key: str, default_val: Any = None, namespace: str = "application") -> Any:
        """Return the value at *key*, or *default_val*; in a YAML namespace *key* is a dotted path."""
        try:
            found = self._read[namespace][CONFIGURATIONS][key]  # without a call: values are read very often
        except (KeyError, TypeError):
            found = None
        if found is None:
            found = self.get_value_from_dict(self._opened(namespace), key)
        return default_val if found is None else found

    def get_value_from_local(self, key: str) -> Any:
        """Return the first value at *key* in the namespaces that the client was made with."""
        found = (self.get_value_from_dict(self._cache.get(name), key) for name in self._notification_map)
        return next((value for value in found if value is not None), None)

    def get_json_from_net(self, namespace: str = "application") -> dict[str, Any] | None:
        """Return `{"configurations": {…}}` straight from the engine, or `None` if it does not answer."""
        held = self._namespaces.read_or_report(namespace)
        return None if held is None else self._as_cached(namespace, held)

    def get_value_from_dict(self, ns_cache: Mapping[str, Any] | None, key: str) -> Any:
        """Return the value at *key*, or at the path that its dots make, or `None`."""
        held = (ns_cache or {}).get(CONFIGURATIONS)
        if not isinstance(held, dict):
            return None
        found = held.get(key)
        return found if found is not None else self.get_value_in_yaml(held, key.split("."))

    @staticmethod
    def get_value_in_yaml(kv_data: Any, args: Sequence[str]) -> Any:
        """Return the value in nested dicts along *args*, or `None`."""
        for step in args:
            if not isinstance(kv_data, dict) or step not in kv_data:
                return None
            kv_data = kv_data[step]
        return kv_data

    @staticmethod
    def config_setter(env_name: str, custom_value: Any) -> Any:
        """Return the environment's value, or *custom_value* if it has none."""
        return os.environ.get(env_name) or custom_value

    signature = staticmethod(signature)

    def stop(self) -> None:
        """Leave the values as they are from now on, and call no listener. Twice does nothing."""
        self.stopping = True
        self._namespaces.stop()

    @staticmethod
    def _as_cached(namespace: str, held: dict[str, str]) -> dict[str, Any]:
        """Return the content of *namespace* for the cache from its texts."""
        if namespace.endswith((".yaml", ".yml")) and CONTENT in held:
            return {CONFIGURATIONS: formats.tree(held[CONTENT], formats.suffix_of(namespace), namespace)}
        return {CONFIGURATIONS: held}

    def _set_by(self, name: str, value: Any) -> Any:
        return self.config_setter(self._VARIABLES[name], value) if name in self._VARIABLES else value

    def _opened(self, namespace: str) -> dict[str, Any] | None:
        held = self._cache.get(namespace)
        return self._namespaces.open_or_report(namespace) if held is None else held

    def _space(self) -> Any:
        return space_at(self.apollo_meta, self.app_id, self.cluster)

    def _told(self, namespace: str, old: dict[str, Any], new: dict[str, Any]) -> None:
        if self.change_listener is not None:
            notify(self.change_listener, namespace, *(one[CONFIGURATIONS] for one in (old, new)))


_USUAL_READ = ApolloClient.get_value_from_dict
