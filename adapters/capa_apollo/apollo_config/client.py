"""In place of `apollo_config.client`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from capa_apollo._dict_listeners import DictListener, changes_between, notify_all
from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._space import IfMissing, Space, space_at

__all__ = ["ApolloClient", "ChangeCallback"]

ChangeCallback = DictListener


class ApolloClient:
    """The constructor, the methods and the attributes of the original; values come from Capa."""

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        app_id: str,
        config_url: str,
        cluster: str = "default",
        namespaces: Iterable[str] | None = None,
        env: str | None = None,
        client_ip: str | None = None,
        access_key_secret: str | None = None,
        cache_dir: str = ".apollo_cache",
        poll_timeout: float = 70,
        request_timeout: float = 5,
        poll_interval: float = 2.0,
        max_retry_backoff: float = 30.0,
    ) -> None:
        self.app_id = app_id
        self.config_url = config_url.rstrip("/")
        self.cluster = cluster
        self.env = env
        self.namespaces = list(namespaces or ["application"])
        self.client_ip = client_ip
        self.access_key_secret = access_key_secret
        self.cache_dir = Path(cache_dir)
        self.poll_timeout = poll_timeout
        self.request_timeout = request_timeout
        self.poll_interval = poll_interval
        self.max_retry_backoff = max_retry_backoff
        self._configs: dict[str, dict[str, str]] = {}
        self._callbacks: list[ChangeCallback] = []
        self._running = self._was_started = False
        self._namespaces = Namespaces(self._space, self._configs, texts_alone, IfMissing.REPORT)

    def register_callback(self, cb: ChangeCallback) -> None:
        """Call *cb* with a namespace and its changes, from `start` on."""
        self._callbacks.append(cb)

    def get_configs(self, namespace: str = "application") -> dict[str, str]:
        """Return all keys and texts of *namespace*, in a dict of the caller's own."""
        return dict(self._held(namespace))

    def get_value(self, key: str, default: Any = None, namespace: str = "application") -> Any:
        """Return the text at *key*, or *default*, also if the engine does not answer and nothing was read yet."""
        try:
            return self._configs[namespace].get(key, default)
        except KeyError:
            return self._held(namespace).get(key, default)

    def start(self) -> None:
        """Tell the callbacks all keys, and changes from now on; after `stop`, what changed meanwhile.

        Twice does the same as once.
        """
        if self._running:
            return
        self._running = True
        self._namespaces.resume()
        self._namespaces.listen_to_releases(self._told)
        for namespace in self.namespaces:
            if self._namespaces.open_or_report(namespace) is not None and not self._was_started:
                self._namespaces.tell_all(namespace)
        self._was_started = True

    def stop(self) -> None:
        """Leave the values as they are from now on, and call no callback. Twice does nothing."""
        self._running = False
        self._namespaces.stop()

    def _held(self, namespace: str) -> dict[str, str]:
        held = self._configs.get(namespace)
        if held is None:
            held = self._namespaces.open_or_report(namespace)
        return held or {}

    def _space(self) -> Space:
        return space_at(self.config_url, self.app_id, self.cluster)

    def _told(self, namespace: str, old: dict[str, str], new: dict[str, str]) -> None:
        notify_all(self._callbacks, namespace, changes_between(old, new))
