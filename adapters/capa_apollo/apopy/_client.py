"""The client of `apopy`."""

from __future__ import annotations

import time
from enum import Enum
from typing import Any

from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._space import IfMissing, Space, space_at

Configurations = dict[str, str]

POLL_S = 60.0
"""How long Apollo's server holds a poll."""


class NamespaceType(Enum):
    """The format of a namespace: its suffix."""

    PROPERTIES = "properties"
    XML = "xml"
    JSON = "json"
    YML = "yml"
    YAML = "yaml"
    TXT = "txt"


class Client:
    """The constructor, the methods and the attributes of the original; values come from Capa, and are live.

    Attributes:
        cache: Namespace with its format → keys and texts; each change replaces them.
    """

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        config_server_url: str,
        app_id: str,
        cluster_name: str = "default",
        ip: str | None = None,
        secret: str | None = None,
        timeout: float = 90,
    ) -> None:
        self.config_server_url = config_server_url
        self.app_id = app_id
        self.cluster_name = cluster_name
        self.ip = ip
        self.secret = secret
        self.timeout = timeout
        self.cache: dict[str, Configurations] = {}
        self.read_notification_cache: dict[str, int] = {}
        self._notified: dict[str, Configurations] = {}
        self._namespaces = Namespaces(self._space, self.cache, texts_alone, IfMissing.RAISE)

    def get(
        self,
        key: str,
        default: Any = None,
        namespace: str = "application",
        namespace_type: NamespaceType = NamespaceType.PROPERTIES,
        call_cache_api: bool = True,
    ) -> Any:
        """Return the text at *key*, or *default*; straight from the engine if *call_cache_api* is false.

        Raises:
            NotFoundError: The component has no such namespace.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        name = f"{namespace}.{namespace_type._value_}"  # as `_name` does, without its call
        if not call_cache_api:
            return self._namespaces.read(name).get(key, default)
        try:
            return self.cache[name].get(key, default)
        except KeyError:
            return self._namespaces.open(name).get(key, default)

    def update(
        self,
        namespace: str = "application",
        namespace_type: NamespaceType = NamespaceType.PROPERTIES,
        call_cache_api: bool = True,
    ) -> None:
        """Read a namespace into the cache, straight from the engine; raises as `get` does."""
        del call_cache_api
        name = _name(namespace, namespace_type)
        self._namespaces.open(name)
        self._namespaces.read(name)

    def read_namespace_with_cache(
        self, namespace: str = "application", namespace_type: NamespaceType = NamespaceType.PROPERTIES
    ) -> Configurations:
        """Return the keys and texts of a namespace, in a dict of the caller's own; raises as `get` does."""
        return self._namespaces.read(_name(namespace, namespace_type))

    def read_namespace_without_cache(
        self, namespace: str = "application", namespace_type: NamespaceType = NamespaceType.PROPERTIES
    ) -> dict[str, Any]:
        """Return a namespace as Apollo's API does: names, `configurations`, `releaseKey`; raises as `get` does."""
        name = _name(namespace, namespace_type)
        held, space = self._namespaces.read(name), self._namespaces.space
        return {
            "appId": self.app_id,
            "cluster": self.cluster_name,
            "namespaceName": name.removesuffix(".properties"),
            "configurations": held,
            "releaseKey": space.view(name).version,
        }

    def read_notification_and_update(
        self, namespace: str = "application", namespace_type: NamespaceType = NamespaceType.PROPERTIES
    ) -> None:
        """Return when a namespace has changed since the last call, after 60 s, or after `timeout`.

        The first call for a namespace returns at once. Raises as `get` does.
        """
        name = _name(namespace, namespace_type)
        held = self._namespaces.open(name)
        if name in self._notified:
            self._namespaces.wait_while(
                lambda: self.cache[name] is self._notified[name], min(self.timeout, POLL_S)
            )
            held = self.cache[name]
        if self._notified.get(name) is not held:
            self._notified[name] = held
            self.read_notification_cache[namespace] = time.time_ns()

    def _space(self) -> Space:
        return space_at(self.config_server_url, self.app_id, self.cluster_name)


def _name(namespace: str, namespace_type: NamespaceType) -> str:
    return f"{namespace}.{namespace_type.value}"
