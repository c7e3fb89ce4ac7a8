"""`Celery`: Celery's application, whose tasks are sent, run and stored by Capa."""

from __future__ import annotations

from contextlib import nullcontext
from functools import cached_property
from typing import Any

from celery import Celery as CeleryApp
from celery.utils.imports import instantiate

from capa_celery import _commands, _fallback, _fast_path, _substitutes
from capa_celery._components import Components


class Celery(CeleryApp):  # type: ignore[misc] # celery is not typed
    """A `celery.Celery` with the same arguments, attributes and behaviour in front.

    Behind, messages go through the pub/sub component, results into the state component, and the worker and beat
    are Capa's. `broker=` and `backend=` are accepted and never connected to; capa.toml names the components.
    With `[adapters.celery] side = "legacy"` all of this is Celery's own, on these addresses.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.set_as_current:
            _fallback.offer(self)

    @cached_property
    def capa(self) -> Components:
        """The Capa components that serve this application."""
        return Components(self)

    @property
    def user_options(self) -> Any:
        """Options that the application adds to commands. Every command asks for them first: some are refused here."""
        _commands.refuse_unserved(self)
        return self._user_options

    @user_options.setter
    def user_options(self, options: Any) -> None:
        self._user_options = options

    @cached_property
    def amqp(self) -> Any:
        """Celery's queues, routes and messages; they are published by the side that serves."""
        if self.capa.is_legacy or self.capa.is_mixed or self.amqp_cls != CeleryApp.amqp_cls:
            return super().amqp
        return instantiate("capa_celery._amqp:AMQP", app=self)

    @cached_property
    def control(self) -> Any:
        """Remote control of the workers."""
        if self.capa.is_legacy or self.control_cls != CeleryApp.control_cls:
            return super().control
        return instantiate("capa_celery._control:Control", app=self)

    @cached_property
    def events(self) -> Any:
        """Receivers, dispatchers and states of events."""
        if self.capa.is_legacy or self.events_cls != CeleryApp.events_cls:
            return super().events
        return instantiate("capa_celery._events:Events", app=self)

    def send_task(self, name: str, *args: Any, **options: Any) -> Any:
        """Send a task by name; the arguments are those of `celery.Celery.send_task`."""
        plain = len(args) == 2 and _fast_path.accepts(options) and self._has_fast_path
        if not plain or self.current_worker_task:
            return super().send_task(name, *args, **options)
        return _fast_path.send(self, name, args[0], args[1], options)

    @cached_property
    def _has_fast_path(self) -> bool:
        return not (self.capa.is_legacy or self.capa.is_mixed) and _fast_path.is_available(self)

    def _get_backend(self) -> Any:
        if self.capa.is_legacy:
            return super()._get_backend()
        if self.capa.is_mixed:
            from capa_celery._mixed._results import backend_of as mixed_backend_of

            return mixed_backend_of(self)
        from capa_celery._backend import backend_of

        return backend_of(self)

    def legacy_backend(self) -> Any:
        """Return the result backend that the original would use, such as one that the application brings itself."""
        return super()._get_backend()

    def producer_or_acquire(self, producer: Any = None) -> Any:
        """Return a context that gives *producer*, or one of Capa's: there is no pool to wait for."""
        if self.capa.is_legacy or self.capa.is_mixed:
            return super().producer_or_acquire(producer)
        # Wrong settings raise here: later, kombu would take them for a broker that is away.
        _ = self.capa.pubsub
        return nullcontext(producer or self.own_producer)

    @cached_property
    def own_producer(self) -> Any:
        """The producer for code that gets one from the application."""
        return self.amqp.Producer(self.connection_for_write(), auto_declare=False)

    def _connection(self, url: Any, *args: Any, **options: Any) -> Any:
        """Return a connection to Capa for every one that Celery would open to a broker."""
        if self.capa.is_legacy:
            return super()._connection(url, *args, **options)
        if self.capa.is_mixed:
            return super()._connection(self.capa.broker_address, *args, **options)
        return self.amqp.Connection(
            url,
            logical_name=self.capa.broker_name,
            state_name=self.capa.backend_name,
            listened=self.capa.listened_exchanges,
        )


_substitutes.install()
_fallback.install(Celery)
