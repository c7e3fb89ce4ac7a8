"""The part that all `ApolloClient`s share: namespaces held as plain dicts that each change replaces."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from capa_apollo._forks import renew_locks_after_fork
from capa_apollo._space import DEFAULT_CLUSTER, Space, space_at, texts
from capa_apollo._unread import report
from capa_apollo.config import ConfigChangeEvent, subscribe_in
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ConfigurationView, Subscription

T = TypeVar("T")


class Namespaces:
    """The namespaces that one client has touched.

    Args:
        cache: The client's own cache: namespace → content; kept up to date until `stop`.
        shape: Returns the content for the cache from a namespace and its texts.
        required: Whether a namespace that does not exist is an error. If not, it is reported once, and empty.
    """

    def __init__(
        self,
        space: Callable[[], Space],
        cache: dict[str, Any],
        shape: Callable[[str, dict[str, str]], Any],
        *,
        required: bool,
    ) -> None:
        self._required = required
        self._space_of = space
        self._space: Space | None = None
        self._cache = cache
        self._shape = shape
        self._listener: Callable[[ConfigChangeEvent], object] | None = None
        self._subscriptions: dict[str, Subscription] = {}
        self._stopped = False
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """Make the locks."""
        self._lock = threading.RLock()
        self._changed = threading.Condition()

    @property
    def space(self) -> Space:
        """The space of the client's values; found at the first use, since constructing a client reads nothing."""
        if self._space is None:
            self._space = self._space_of()
        return self._space

    def open(self, namespace: str) -> Any:
        """Put *namespace* into the cache and return its content there.

        Raises:
            NotFoundError: It does not exist and is required.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        with self._lock:
            if namespace not in self._cache or namespace not in self._subscriptions:
                self._follow(namespace)
            return self._cache[namespace]

    def open_or_report(self, namespace: str) -> Any:
        """Do as `open`, but report an error of the engine once, and return `None` for it."""
        return self._reported(self.open, namespace)

    def read(self, namespace: str) -> dict[str, str]:
        """Return the texts of *namespace* straight from the engine; raises as `open` does."""
        self.space.configuration.get(**self.space.scope(namespace))
        return texts(self.space.view(namespace, required=self._required))

    def read_or_report(self, namespace: str) -> dict[str, str] | None:
        """Do as `read`, but report an error of the engine once, and return `None` for it."""
        return self._reported(self.read, namespace)

    def listen(self, listener: Callable[[ConfigChangeEvent], object]) -> None:
        """Call *listener* for changes of each namespace that is open, now or later."""
        with self._lock:
            self._listener = listener
            for namespace in list(self._subscriptions):
                self._subscriptions.pop(namespace).close()
                self._subscribe(namespace)

    def resume(self) -> None:
        """Follow changes again after `stop`."""
        with self._lock:
            if self._stopped:
                self._stopped = False
                for namespace in list(self._cache):
                    self._apply(namespace, self.space.view(namespace))

    def stop(self) -> None:
        """Leave the cache as it is from now on, and call no listener."""
        self._stopped = True
        with self._changed:
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Return when a namespace has changed, at `stop`, or after *timeout_s*."""
        with self._changed:
            if not self._stopped:
                self._changed.wait(timeout_s)

    def _reported(self, read: Callable[[str], T], namespace: str) -> T | None:
        space = self.space
        try:
            return read(namespace)
        except CapaError as error:
            report(space, namespace, error)
            return None

    def _follow(self, namespace: str) -> None:
        space, own = self.space, weakref.ref(self)
        space.view(namespace, required=self._required)

        def follow(view: ConfigurationView) -> None:
            if (alive := own()) is not None:
                alive._apply(namespace, view)

        stop = space.configuration.follow(follow, **space.scope(namespace))
        weakref.finalize(self, stop).atexit = False
        self._subscribe(namespace)

    def _subscribe(self, namespace: str) -> None:
        own = weakref.ref(self)

        def notify(event: ConfigChangeEvent) -> None:
            alive = own()
            if alive is not None and not alive._stopped and alive._listener is not None:
                alive._listener(event)

        self._subscriptions[namespace] = subscribe_in(self.space, notify, namespace)

    def _apply(self, namespace: str, view: ConfigurationView) -> None:
        if self._stopped and namespace in self._cache:
            return
        self._cache[namespace] = self._shape(namespace, texts(view))
        with self._changed:
            self._changed.notify_all()


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
            lambda _namespace, held: held,
            required=True,
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
