"""The Capa components that serve an application, found by its legacy addresses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from kombu.exceptions import OperationalError

from capa_celery._errors import clean_exit_of_commands
from capa_celery._sdk import SDK
from capa_celery._settings import NAME, CelerySettings
from capa_core.errors import CapaError, SettingsError
from capa_core.shims import PerRuntime, Side, current_runtime, logical_name, scheme_of
from capa_core.shims.settings import adapter_settings

if TYPE_CHECKING:
    from celery import Celery

    from capa_core import Locks, PubSub, Runtime, State

T = TypeVar("T")


class Components:
    """The components behind one application. Safe for many threads and across fork.

    Nothing is opened, and no address is connected to, before the first task is sent or received. The legacy
    `broker_url` and `result_backend` only choose a logical name: the one that they are (`capa://jobs`), or whose
    `legacy` addresses in capa.toml hold them, else `celery`.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._found: PerRuntime[tuple[Runtime, dict[str, Any]]] = PerRuntime(lambda runtime: (runtime, {}))

    @property
    def pubsub(self) -> PubSub:
        """The pub/sub component of the tasks."""
        return self._once("pubsub", lambda runtime: runtime.pubsub(self.broker_name))

    @property
    def state(self) -> State:
        """The component that keeps results, chords, revocations and the schedule."""
        return self._once("state", lambda runtime: runtime.state(self.backend_name))

    @property
    def locks(self) -> Locks:
        """The component whose lock keeps two beats from sending the same task."""
        return self._once("lock", lambda runtime: runtime.lock(NAME))

    @property
    def settings(self) -> CelerySettings:
        """The `[adapters.celery]` table."""
        return self._once("settings", lambda runtime: adapter_settings(runtime, SDK, CelerySettings))

    @cached_property
    def is_legacy(self) -> bool:
        """Whether Celery's own broker, result backend, worker and beat serve the application, and Capa does not.

        Decided once for each application, when it is first used.

        Raises:
            SettingsError: The `[adapters.celery]` table is wrong.
            UnsupportedError: `side` names one that is not available.
            CeleryCommandException: One of the two in the `celery` command, which prints it in one line.
        """
        with clean_exit_of_commands():
            return self.settings.side is Side.LEGACY

    @cached_property
    def is_mixed(self) -> bool:
        """Whether queues, results, control and events are shared with workers and clients of Celery itself.

        Decided, and refused, as for `is_legacy`.
        """
        with clean_exit_of_commands():
            return not self.is_legacy and self.settings.wire == "celery"

    @property
    def queues(self) -> PubSub:
        """The object by which a worker receives tasks."""
        if not self.is_mixed:
            return self.pubsub
        from capa_celery._mixed._broker import queues_of

        return self._once("queues", lambda _runtime: queues_of(self._app, self.pubsub))

    @property
    def broker_address(self) -> str:
        """The address of the broker of a mixed fleet, credentials included."""
        from capa_celery._mixed._broker import address_of

        return self._once("address", lambda _runtime: address_of(self.pubsub))

    @property
    def passing_errors(self) -> tuple[type[Exception], ...]:
        """The errors for a component that is away."""
        if not self.is_mixed:
            return CapaError, OperationalError
        from capa_celery._mixed._broker import passing_errors

        found = self._once("errors", lambda _runtime: passing_errors(self._app))
        return CapaError, OperationalError, *found

    def check_served(self, *, beat: bool) -> None:
        """Find the components of a worker, or of *beat*, which are otherwise found at their first use.

        A worker acquires no lock, so that only beat needs one.

        Raises:
            SettingsError: Nothing serves some of them, or their tables are wrong; all of these are named.
            UnsupportedError: `wire = "celery"`, and they are not on an engine that has it.
            CeleryCommandException: That in the `celery` command, which prints it.
        """
        errors: list[SettingsError] = []
        for name in ("pubsub", "state", "locks") if beat else ("pubsub", "state"):
            try:
                getattr(self, name)
            except SettingsError as error:
                errors.append(error)
        with clean_exit_of_commands():
            if len(errors) > 1:
                raise SettingsError("\n\n".join(map(str, errors))) from errors[0]
            if errors:
                raise errors[0]
            if self.is_mixed:
                _ = self.queues, self.broker_address, self._app.backend

    def tell_places(self) -> None:
        """Log which addresses of the application lead elsewhere than they say: see `capa_core.shims.elsewhere`."""
        from capa_core.shims.elsewhere import tell_if_elsewhere

        conf = self._app.conf
        for address in (conf.broker_write_url, conf.broker_read_url):
            tell_if_elsewhere("pubsub", self.pubsub, address, go="tasks go")
        if self.stores_results:
            tell_if_elsewhere("state", self.state, conf.result_backend, go="results go")

    @property
    def stores_results(self) -> bool:
        """Whether results go to Capa, and not to a backend of the application's own or to none."""
        from capa_celery._backend import CapaBackend

        if self.is_mixed:
            from capa_celery._mixed._results import RedisResults

            return isinstance(self._app.backend, RedisResults)
        return isinstance(self._app.backend, CapaBackend)

    @property
    def broker_name(self) -> str:
        """The logical name of the broker, such as `celery`."""
        return logical_name("pubsub", self._app.conf.broker_write_url or self._app.conf.broker_url) or NAME

    @property
    def backend_name(self) -> str:
        """The logical name of the result store, such as `celery`."""
        return logical_name("state", self._app.conf.result_backend) or NAME

    @property
    def listened_exchanges(self) -> tuple[str, ...]:
        """The exchanges of control commands, of the replies to them and of events."""
        conf = self._app.conf
        mailbox = f"{conf.control_exchange}.pidbox"
        return mailbox, f"reply.{mailbox}", conf.event_exchange

    @property
    def broker_scheme(self) -> str:
        """The kind of broker that the application was written for, such as `redis`; `amqp` is Celery's default."""
        scheme = scheme_of(self._app.conf.broker_url)
        if scheme == "capa":
            scheme = scheme_of(current_runtime().legacy_addresses("pubsub", self.broker_name))
        return scheme or "amqp"

    @property
    def backend_uri(self) -> str:
        """The result store as banners and logs show it."""
        return f"capa://{self.backend_name}"

    def _once(self, name: str, find: Callable[[Runtime], T]) -> T:
        runtime, found = self._found()
        if name not in found:
            found[name] = find(runtime)
        component: T = found[name]
        return component
