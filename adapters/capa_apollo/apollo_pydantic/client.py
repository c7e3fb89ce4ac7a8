"""In place of `apollo_pydantic.client`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._signature import signature
from capa_apollo._space import IfMissing, Space, space_at
from capa_core.errors import CapaError

__all__ = ["ApolloClient"]

POLL_S = 60.0
"""How long Apollo's server holds a poll."""


class ApolloClient:
    """The constructor and the methods of the original; values come from Capa. Reading is done in threads."""

    def __init__(
        self, config_server: object, appid: str, cluster: str = "default", secret_key: object = None
    ) -> None:
        self.config_server = config_server
        self.appid = appid
        self.cluster = cluster
        self.secret_key = secret_key
        self._held: dict[str, dict[str, str]] = {}
        self._numbered: dict[str, tuple[dict[str, str], int]] = {}
        self._namespaces = Namespaces(self._space, self._held, texts_alone, IfMissing.RAISE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the client as it is: it may be used again."""

    signature = staticmethod(signature)

    async def cached_config(self, namespace: str, format: str = "json") -> dict[str, str]:  # noqa: A002
        """Return the keys and texts of *namespace*; raises as `uncached_config` does."""
        del format
        return await asyncio.to_thread(self._read, namespace)

    async def uncached_config(
        self,
        namespace: str,
        release_key: str | None = None,
        messages: object = None,
        label: str | None = None,
    ) -> dict[str, Any] | None:
        """Return *namespace* as Apollo's API does, or `None` if *release_key* is that of the present release.

        Raises:
            ValueError: It does not exist, or the engine does not answer and it was never read. The cause is the error
                of Capa.
        """
        del messages, label
        held = await asyncio.to_thread(self._read, namespace)
        version = self._namespaces.space.view(namespace).version
        if release_key and release_key == version:
            return None
        return {
            "appId": self.appid,
            "cluster": self.cluster,
            "namespaceName": namespace,
            "configurations": held,
            "releaseKey": version,
        }

    async def notification(
        self, notifications: Sequence[Mapping[str, str | int]]
    ) -> list[dict[str, Any]] | None:
        """Return the namespaces whose number is another than the one that is given; `None` after a minute without one.

        Raises:
            ValueError: As for `uncached_config`.
        """
        return await asyncio.to_thread(self._notification, notifications)

    def open(self, namespace: str) -> dict[str, str]:
        """Return the keys and texts of *namespace*, which is live from now on; raises as `uncached_config` does."""
        with _as_value_error():
            held: dict[str, str] = self._namespaces.open(namespace)
            return held

    @property
    def namespaces(self) -> Namespaces:
        """The namespaces that were read, to listen to."""
        return self._namespaces

    def _read(self, namespace: str) -> dict[str, str]:
        with _as_value_error():
            return self._namespaces.read(namespace)

    def _notification(self, notifications: Sequence[Mapping[str, str | int]]) -> list[dict[str, Any]] | None:
        given = {str(one["namespaceName"]): int(one["notificationId"]) for one in notifications}
        for name in given:
            self.open(name)
        self._namespaces.wait_while(
            lambda: all(self._number(name) == number for name, number in given.items()), POLL_S
        )
        changed = {name: self._number(name) for name, number in given.items() if self._number(name) != number}
        return [
            {"namespaceName": name, "notificationId": number, "messages": {"details": {}}}
            for name, number in changed.items()
        ] or None

    def _number(self, namespace: str) -> int:
        held = self._held[namespace]
        before, number = self._numbered.get(namespace, (None, 0))
        if before is not held:
            number += 1
            self._numbered[namespace] = (held, number)
        return number

    def _space(self) -> Space:
        return space_at(str(self.config_server), self.appid, self.cluster)


@contextmanager
def _as_value_error() -> Iterator[None]:
    try:
        yield
    except CapaError as error:
        raise ValueError(str(error)) from error
