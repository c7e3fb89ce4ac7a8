"""In place of `apollo_config.manager`."""

from __future__ import annotations

from collections.abc import Iterable

from capa_apollo._dict_listeners import DictListener
from capa_apollo._managers import Manager, T
from capa_apollo.apollo_config.client import ApolloClient

__all__ = ["ConfigManager", "NamespaceCallback", "T"]

NamespaceCallback = DictListener


class ConfigManager(Manager[ApolloClient]):
    """A client whose callbacks are registered by namespace."""

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        app_id: str,
        config_url: str,
        cluster: str = "default",
        namespaces: Iterable[str] | None = None,
        env: str | None = None,
        access_key_secret: str | None = None,
        cache_dir: str = ".apollo_cache",
        poll_timeout: float = 70,
        request_timeout: float = 5,
        poll_interval: float = 2.0,
        max_retry_backoff: float = 30.0,
    ) -> None:
        client = ApolloClient(
            app_id,
            config_url,
            cluster,
            namespaces,
            env,
            access_key_secret=access_key_secret,
            cache_dir=cache_dir,
            poll_timeout=poll_timeout,
            request_timeout=request_timeout,
            poll_interval=poll_interval,
            max_retry_backoff=max_retry_backoff,
        )
        super().__init__(client)

    def stop(self) -> None:
        """See `ApolloClient.stop`."""
        self._client.stop()
