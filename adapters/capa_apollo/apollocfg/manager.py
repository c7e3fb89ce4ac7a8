"""In place of `apollocfg.manager`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Self

from capa_apollo._dict_listeners import DictListener, on_loop
from capa_apollo._managers import Manager, T
from capa_apollo.apollocfg.client import DEFAULT_NAMESPACE, ApolloClient

__all__ = ["DEFAULT_NAMESPACE", "ConfigManager", "NamespaceCallback", "T"]

NamespaceCallback = DictListener


class ConfigManager(Manager[ApolloClient]):
    """A client whose callbacks are registered by namespace; takes the arguments of `ApolloClient`."""

    def __init__(self, app_id: str, *arguments: Any, **named: Any) -> None:
        super().__init__(ApolloClient(app_id, *arguments, **named))

    @property
    def client(self) -> ApolloClient:
        """The client."""
        return self._client

    def stop(self, timeout: float = 5.0) -> None:
        """See `ApolloClient.stop`."""
        self._client.stop(timeout=timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def on_namespace_change_async(
        self, namespace: str, loop: asyncio.AbstractEventLoop
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return a decorator that registers an `async def` for changes of *namespace*; it runs on *loop*."""

        def decorator(cb: Callable[..., Any]) -> Callable[..., Any]:
            self._ns_callbacks[namespace].append(on_loop(cb, loop))
            return cb

        return decorator

    def effective_configs(self, namespace: str = DEFAULT_NAMESPACE) -> dict[str, str]:
        """See `ApolloClient.effective_configs`."""
        return self._client.effective_configs(namespace)

    def merged_configs(self, namespaces: Sequence[str] | None = None) -> dict[str, str]:
        """See `ApolloClient.merged_configs`."""
        return self._client.merged_configs(namespaces)

    def get_content(self, namespace: str) -> str | None:
        """See `ApolloClient.get_content`."""
        return self._client.get_content(namespace)

    def get_json(self, namespace: str) -> Any:
        """See `ApolloClient.get_json`."""
        return self._client.get_json(namespace)
