"""Which Capa components serve an application, and how its legacy addresses name them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from capa_celery._settings import NAME, CelerySettings
from capa_core import default_runtime

if TYPE_CHECKING:
    from celery import Celery

    from capa_core import Locks, PubSub, Runtime, State

T = TypeVar("T")


class Engine:
    """The components behind one application. Safe for many threads and across fork.

    Nothing is opened, and no address is connected to, before the first task is sent or received. The legacy
    `broker_url` and `result_backend` only choose a logical name: the one that they are (`capa://jobs`), or whose
    `legacy` addresses in capa.toml hold them, else `celery`.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._runtime: Runtime | None = None
        self._found: dict[str, Any] = {}

    @property
    def pubsub(self) -> PubSub:
        """What carries the tasks."""
        return self._once("pubsub", lambda runtime: runtime.pubsub(self.broker_name))

    @property
    def state(self) -> State:
        """What keeps results, chords, revocations and the schedule."""
        return self._once("state", lambda runtime: runtime.state(self.backend_name))

    @property
    def locks(self) -> Locks:
        """What keeps two beats from sending the same task."""
        return self._once("lock", lambda runtime: runtime.lock(NAME))

    @property
    def settings(self) -> CelerySettings:
        """The `[adapters.celery]` table."""
        return self._once("settings", lambda runtime: runtime.adapter_settings("celery", CelerySettings))

    @property
    def broker_name(self) -> str:
        """The logical name of the broker, such as `celery`."""
        return self._name("pubsub", self._app.conf.broker_write_url or self._app.conf.broker_url)

    @property
    def backend_name(self) -> str:
        """The logical name of the result store, such as `celery`."""
        return self._name("state", self._app.conf.result_backend)

    @property
    def broker_scheme(self) -> str:
        """What kind of broker the application was written for, such as `redis`; `amqp` is Celery's default."""
        scheme = _scheme(_first(self._app.conf.broker_url))
        if scheme == "capa":
            listed = default_runtime().legacy_addresses("pubsub", self.broker_name)
            scheme = _scheme(listed[0]) if listed else ""
        return scheme or "amqp"

    @property
    def backend_uri(self) -> str:
        """The result store as banners and logs show it."""
        return f"capa://{self.backend_name}"

    def _name(self, block: str, address: object) -> str:
        url = _first(address)
        return (default_runtime().logical_name(block, url) if url else None) or NAME

    def _once(self, what: str, find: Callable[[Runtime], T]) -> T:
        runtime = default_runtime()
        if runtime is not self._runtime:  # a test replaced it, or the first use
            self._runtime, self._found = runtime, {}
        if what not in self._found:
            self._found[what] = find(runtime)
        found: T = self._found[what]
        return found


def _scheme(url: str) -> str:
    return url.partition("://")[0].partition("+")[0].lower()


def _first(address: object) -> str:
    """Return the first of the addresses that Celery takes as text, as a list, or as text with `;` between."""
    if isinstance(address, list | tuple):
        address = address[0] if address else ""
    return address.partition(";")[0] if isinstance(address, str) else ""
