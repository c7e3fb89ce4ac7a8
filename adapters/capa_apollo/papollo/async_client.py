"""In place of `papollo.async_client`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Self, TypeVar, overload

from capa_apollo.papollo._releases import L, Listening, Releases
from capa_apollo.papollo.client import DEFAULT_NAMESPACE
from capa_apollo.papollo.exceptions import ApolloError

__all__ = ["ApolloError", "AsyncApollo", "AsyncListener", "L", "T"]

AsyncListener = Callable[[str, Mapping[str, str], Mapping[str, str]], Awaitable[None] | None]
T = TypeVar("T")


class AsyncApollo(Listening):
    """`Apollo` for an event loop; listeners run on the loop that used the client last."""

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._untold: deque[tuple[str, Mapping[str, str], Mapping[str, str]]] = deque()
        self._telling: asyncio.Task[None] | None = None
        self._releases = Releases(server_url.rstrip("/"), app_id, cluster, self._told)

    @overload
    async def get(self, key: str, *, namespace: str = DEFAULT_NAMESPACE) -> str | None: ...
    @overload
    async def get(self, key: str, default: T, *, namespace: str = DEFAULT_NAMESPACE) -> str | T: ...
    async def get(self, key: str, default: object = None, *, namespace: str = DEFAULT_NAMESPACE) -> object:
        """Return the text at *key*, or *default*; raises as `namespace` does."""
        return (await self.namespace(namespace)).get(key, default)

    async def namespace(self, name: str = DEFAULT_NAMESPACE) -> Mapping[str, str]:
        """See `Apollo.namespace`. The first reading is done in a thread.

        Raises:
            ApolloError: As there.
        """
        self._loop = asyncio.get_running_loop()
        held = self._releases.held(name)
        return await asyncio.to_thread(self._releases.open, name) if held is None else held

    async def refresh(self, name: str | None = None) -> None:
        """See `Apollo.refresh`; it is done in a thread."""
        self._loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._releases.refresh, name)

    async def aclose(self) -> None:
        """Leave the values as they are from now on, and call no listener. Twice does nothing."""
        self._releases.stop()
        self._untold.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def _told(self, namespace: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
        if not self._listeners or self._loop is None:
            return
        self._untold.append((namespace, old, new))
        try:
            self._loop.call_soon_threadsafe(self._tell_soon)
        except RuntimeError as error:  # the loop is closed
            logging.getLogger(__name__).warning(
                "no event loop runs the listeners of %s: %s", namespace, error
            )

    def _tell_soon(self) -> None:
        loop, telling = asyncio.get_running_loop(), self._telling
        if telling is None or telling.done() or telling.get_loop() is not loop:
            self._telling = loop.create_task(self._tell())

    async def _tell(self) -> None:
        while self._untold:
            release = self._untold.popleft()
            for callback in self._listeners:
                try:
                    result = callback(*release)
                    if inspect.isawaitable(result):
                        await result
                except Exception:
                    logging.getLogger(__name__).exception("an Apollo change listener failed")
