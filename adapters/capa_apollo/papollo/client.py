"""In place of `papollo.client`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Self, TypeVar, overload

from capa_apollo.papollo._releases import L, Listening, Releases
from capa_apollo.papollo.exceptions import ApolloError

__all__ = ["Apollo", "ApolloError", "L", "Listener", "T"]

Listener = Callable[[str, Mapping[str, str], Mapping[str, str]], object]
T = TypeVar("T")

DEFAULT_NAMESPACE = "application"


class Apollo(Listening):
    """The constructor and the methods of the original; values come from Capa, and are live with or without *watch*."""

    def __init__(
        self,
        server_url: str,
        app_id: str,
        *,
        cluster: str = "default",
        secret: str | None = None,
        ip: str | None = None,
        label: str | None = None,
        timeout: float | None = None,
        max_age: float | None = None,
        watch: bool = False,
        cache_dir: object = None,
        http_client: object = None,
        watch_http_client: object = None,
    ) -> None:
        del secret, ip, label, timeout, max_age, watch, cache_dir, http_client, watch_http_client
        super().__init__()
        self._releases = Releases(server_url.rstrip("/"), app_id, cluster, self._told)

    @overload
    def get(self, key: str, *, namespace: str = DEFAULT_NAMESPACE) -> str | None: ...
    @overload
    def get(self, key: str, default: T, *, namespace: str = DEFAULT_NAMESPACE) -> str | T: ...
    def get(self, key: str, default: object = None, *, namespace: str = DEFAULT_NAMESPACE) -> object:
        """Return the text at *key*, or *default*; raises as `namespace` does."""
        try:
            return self._releases.read[namespace].get(
                key, default
            )  # without a call: values are read very often
        except KeyError:
            return self.namespace(namespace).get(key, default)

    def namespace(self, name: str = DEFAULT_NAMESPACE) -> Mapping[str, str]:
        """Return the keys and texts of a namespace as of now, read-only; a document has its text under `content`.

        Raises:
            ApolloError: It does not exist, or the engine does not answer and it was never read.
        """
        held = self._releases.held(name)
        return self._releases.open(name) if held is None else held

    def refresh(self, name: str | None = None) -> None:
        """Read one namespace, or all that were read before, from the engine; raises as `namespace` does."""
        self._releases.refresh(name)

    def close(self) -> None:
        """Leave the values as they are from now on, and call no listener. Twice does nothing."""
        self._releases.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self, namespace: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        for callback in self._listeners:
            try:
                callback(namespace, old, new)
            except Exception:
                logging.getLogger(__name__).exception("an Apollo change listener failed")
