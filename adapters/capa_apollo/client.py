"""`ApolloClient`: one client for the arguments of all the packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._space import DEFAULT_CLUSTER, IfMissing, space_at
from capa_apollo.config import ConfigChangeEvent


class ApolloClient:
    """A client that takes the arguments of all the packages, by keyword; its values come from Capa.

    Args:
        config_server_url: Accepted for its meaning and never connected to: the component that lists it under
            `legacy` in capa.toml serves, else the one of `[adapters.apollo]`. `config_url`, `config_service_url`,
            `server_url` and `meta_server_address` are the same.
        namespaces: Opened at once; others when first asked for.
        change_listener: Called with a `ConfigChangeEvent`.
        ignored: Arguments that are about the connection, such as `secret`, `ip` and `timeout`.
    """

    def __init__(
        self,
        app_id: str = "",
        cluster: str = DEFAULT_CLUSTER,
        config_server_url: str = "",
        *,
        config_url: str = "",
        config_service_url: str = "",
        server_url: str = "",
        meta_server_address: str = "",
        namespaces: Iterable[str] = (),
        change_listener: Callable[[ConfigChangeEvent], object] | None = None,
        **ignored: object,
    ) -> None:
        url = config_server_url or config_url or config_service_url or server_url or meta_server_address
        self._refuse_unknown(ignored)
        self.app_id = app_id
        self.cluster = cluster
        self.config_server_url = url
        self._cache: dict[str, dict[str, str]] = {}
        self._namespaces = Namespaces(
            lambda: space_at(url, app_id, cluster),
            self._cache,
            texts_alone,
            IfMissing.RAISE_ELSEWHERE,
        )
        if change_listener is not None:
            self._namespaces.listen(change_listener)
        for namespace in namespaces:
            self._namespaces.open(namespace)

    def get_value(self, key: str, default_val: Any = None, namespace: str = "application") -> Any:
        """Return the text at *key*, or *default_val*; a document's whole text is under `content`.

        Raises:
            NotFoundError: The component has no such namespace.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        try:
            return self._cache[namespace].get(key, default_val)
        except KeyError:
            return self._namespaces.open(namespace).get(key, default_val)

    def start(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing the first time, since values are live from the first reading; go on after `stop`."""
        self._namespaces.resume()

    def stop(self) -> None:
        """Leave the values as they are from now on. Twice does nothing."""
        self._namespaces.stop()

    def _refuse_unknown(self, given: dict[str, object]) -> None:
        if unknown := given.keys() - CONNECTION_ARGUMENTS:
            raise TypeError(f"{type(self).__name__}.__init__() got an unexpected argument {min(unknown)!r}")


CONNECTION_ARGUMENTS = frozenset(
    {
        *(
            "secret",
            "access_key_secret",
            "authorization",
            "ip",
            "client_ip",
            "env",
            "idc",
            "ignore_ssl_verify",
        ),
        *(
            "timeout",
            "cycle_time",
            "sync_time",
            "pull_timeout",
            "log_level",
            "logger",
            "enable_dotenv",
            "settings",
        ),
        *(
            "cache_file_path",
            "cache_path",
            "cache_dir",
            "admin_server_url",
            "config_server_host",
            "exceptNamespaces",
        ),
        *("start_hot_update", "need_hot_update", "hot_update", "auto_update_enabled"),
        *("enable_scheduled_updates", "enable_long_pool_updates", "_notification_map", "notification_map"),
    }
)
"""Arguments of the packages about connections and polling, which are accepted and without effect."""
