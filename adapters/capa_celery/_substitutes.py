"""Celery's worker and scheduler classes give Capa's for an application that Capa serves, from any caller.

Celery makes them in many places: its commands, its fixtures for pytest, `start_worker`, programs that embed a worker.
Some of these are in code that no rewrite changes. Without a warning, Celery's own worker would serve an application of
Capa over the connection that the application gives, without Capa's leases and revocations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from celery.app import utils
from celery.beat import PersistentScheduler, Service
from celery.worker import WorkController

from capa_celery._components import Components
from capa_celery._errors import unsupported
from capa_celery._sdk import SDK
from capa_core.call.loggers import named_logger
from capa_core.secret import without_credentials
from capa_core.shims import details

logger = named_logger("celery.beat")


def install() -> None:
    """Make the classes check the application before they create an object."""
    WorkController.__new__ = _new_worker
    PersistentScheduler.__new__ = _new_scheduler
    Service.__init__ = _without_remote_control(Service.__init__)
    utils.filter_hidden_settings = _without_drivers(utils.filter_hidden_settings)


def _new_worker(cls: type, app: Any = None, hostname: str | None = None, **_: Any) -> Any:  # noqa: ARG001
    return object.__new__(_over_capa(cls) if _is_served(app or cls.app) else cls)  # type: ignore[attr-defined]


def _new_scheduler(cls: type, app: Any, *args: Any, **kwargs: Any) -> Any:
    if cls is not PersistentScheduler or not _is_served(app):
        return object.__new__(cls)
    from capa_celery._beat import Scheduler

    return Scheduler(app, *args, **kwargs)


def _without_remote_control(make: Callable[..., None]) -> Callable[..., None]:
    @wraps(make)
    def init(service: Any, app: Any, *args: Any, **kwargs: Any) -> None:
        make(service, app, *args, **kwargs)
        if _is_served(app) and getattr(service, "remote_control", False):
            service.remote_control = False  # the banner shows it
            logger.warning(
                "remote control of beat is not served: --enable-remote-control and beat_enable_remote_control are "
                "without effect. %s",
                details(SDK, "remote-control"),
            )

    return init


def _without_drivers(censor: Callable[[Any], dict[Any, Any]]) -> Callable[[Any], dict[Any, Any]]:
    """Return *censor*, which hides secrets in settings, for addresses too whose driver kombu does not find.

    Nothing connects to them here, so that they may be `capa://…` and their libraries need not be installed.
    """

    @wraps(censor)
    def censored(conf: Any) -> dict[Any, Any]:
        return {key: shown(key, value) for key, value in conf.items()}

    def shown(key: Any, value: Any) -> Any:
        try:
            return censor({key: value})[key]
        except (KeyError, ImportError):
            if not isinstance(value, list | tuple):
                return without_credentials(value)
            return [without_credentials(each) for each in value]

    return censored


def _is_served(app: Any) -> bool:
    components = getattr(app, "capa", None)
    return isinstance(components, Components) and not components.is_legacy


def _over_capa(cls: type) -> type:
    """Return the worker class *cls* with Capa's worker between it and Celery's.

    Raises:
        UnsupportedError: *cls* replaces Celery's blueprint, whose consumer and pool are not there.
    """
    from capa_celery._worker.controller import WorkController as CapaWorkController
    from capa_celery._worker.controller import ensure_started

    if issubclass(cls, CapaWorkController):
        return cls
    if cls is WorkController:
        return CapaWorkController
    if cls.Blueprint is not WorkController.Blueprint:  # type: ignore[attr-defined]
        raise unsupported(
            f"The worker class {cls.__qualname__}, which has a blueprint of its own,",
            instead="Add its steps to app.steps['worker'].",
            section="bootsteps",
        )
    from capa_celery._worker.banner import Banner

    ours: dict[str, Any] = {"__module__": CapaWorkController.__module__}
    if hasattr(
        cls, "ensure_started"
    ):  # of Celery's `TestWorkController`: it waits for ever for one that cannot start
        ours |= {"ensure_started": ensure_started, "waits_for_broker": False}
    return type(cls.__name__, (Banner, cls, CapaWorkController), ours)
