"""In place of `ApolloPyClient.ApolloPyClient`."""  # noqa: N999 - the original's name

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from capa_apollo._namespaces import Namespaces
from capa_apollo._space import IfMissing, Space, space_at
from capa_apollo._tuple_listeners import TupleListener, notify
from capa_apollo._wire_names import CONFIGURATIONS, CONTENT, NAMESPACE_NAME, NOTIFICATION_ID, RELEASE_KEY
from capa_apollo.ApolloPyClient._content import as_content
from capa_core.errors import CapaError

__all__ = [
    "CONFIGURATIONS",
    "CONTENT",
    "NAMESPACE_NAME",
    "NOTIFICATION_ID",
    "RELEASE_KEY",
    "ApolloClient",
    "ApolloClientReadRemoteError",
    "ConfigFormats",
]

ConfigFormats = [".json", ".yaml", ".yml", ".xml", ".txt"]


class ApolloClientReadRemoteError(Exception):
    """A namespace could not be read; the text says why and what to do, the cause is Capa's error."""


class ApolloClient:
    """The constructor, the methods and the attributes of the original; values come from Capa.

    Texts are read as what they look like: `true`, numbers, lists and dicts; JSON, YAML and XML are parsed.
    """

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        app_id: str = "",
        config_service_url: str = "http://localhost:8080",
        cluster: str = "default",
        secret: str = "",
        env: str = "DEV",
        namespaces: Iterable[str] | None = None,
        change_listener: TupleListener | None = None,
        client_ip: str | None = None,
        log_level: str = "INFO",
        pull_timeout: float = 75,
        cycle_time: float = 5,
        ignore_ssl_verify: bool = False,
    ) -> None:
        del log_level
        self.app_id = app_id
        self.cluster = cluster
        self.secret = secret or ""
        self.env = env
        self.client_ip = client_ip or "127.0.0.1"
        self.config_service_url = config_service_url
        self.change_listener = change_listener
        self.namespaces = list(namespaces or ["application"])
        self.pull_timeout = pull_timeout
        self.cycle_time = cycle_time
        self.ignore_ssl_verify = ignore_ssl_verify
        self.stopping = False
        self._cache: dict[str, Any] = {}
        is_own = type(self).get_value_from_dict is not _USUAL_READ
        self._read = {} if is_own else self._cache  # a subclass's way of reading is used for each value
        self._notification_map = dict.fromkeys(self.namespaces, -1)
        self._namespaces = Namespaces(self._space, self._cache, as_content, IfMissing.REPORT)
        self._namespaces.listen_to_releases(self._told)
        for namespace in self.namespaces:
            self._namespaces.open_or_report(namespace)

    def get_value(self, key: str, default_val: Any = None, namespace: str = "application") -> Any:
        """Return the value at *key*, at the top of a document, or *default_val*."""
        try:
            found = self._read[namespace][key]  # without a call: values are read very often
        except (KeyError, TypeError):
            found = self._sought(key, namespace)
        return default_val if found is None else found

    def _sought(self, key: str, namespace: str) -> Any:
        held = self._cache.get(namespace)
        if held is None:
            held = self._namespaces.open_or_report(namespace)
        return self.get_value_from_dict(held, key) if isinstance(held, dict) else None

    def get_value_from_dict(self, ns_cache: Mapping[str, Any] | None, key: str) -> Any:
        """Return the value at *key*, or `None`."""
        return ns_cache.get(key) if ns_cache else None

    def all(self) -> dict[str, Any]:
        """Return the cache: namespace → content."""
        return self._cache

    def get_from_remote(self, namespace: str = "application", n_id: int = -1) -> Any:
        """Return the content of *namespace* straight from the engine.

        Raises:
            ApolloClientReadRemoteError: It does not exist, or the engine does not answer.
        """
        del n_id
        try:
            held = self._namespaces.read(namespace, IfMissing.RAISE)
        except CapaError as error:
            raise ApolloClientReadRemoteError(str(error)) from error
        return as_content(namespace, held)

    def stop(self) -> None:
        """Leave the values as they are from now on, and call no listener. Twice does nothing."""
        self.stopping = True
        self._namespaces.stop()

    def _space(self) -> Space:
        return space_at(self.config_service_url, self.app_id, self.cluster)

    def _told(self, namespace: str, old: Any, new: Any) -> None:
        if self.change_listener is not None:
            notify(self.change_listener, namespace, old, new)


_USUAL_READ = ApolloClient.get_value_from_dict
