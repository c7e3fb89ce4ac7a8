"""The fallback application: Celery's current application in threads that made none.

Celery keeps the current application for each thread. A web server's handler, run in another thread than the one that
made the application, gets the *default* application; where there is none, Celery makes one of its own, which would
publish to the legacy broker and read the legacy results.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from celery import Celery as CeleryApp
from celery import _state

if TYPE_CHECKING:
    from capa_celery._app import Celery

_kind: type[Celery]
_chosen: Any = None
"""The default application that was chosen here, and not by the program."""


def install(kind: type[Celery]) -> None:
    """Make Celery create an application of *kind* where it needs one and finds none."""
    global _kind  # noqa: PLW0603 - Celery's own default is a global too
    _kind = kind
    # Its code, because other modules and the proxy `current_app` hold the function itself.
    _state._get_current_app.__code__ = _get_current_app.__code__
    if _is_celerys_own(_state.default_app):
        _state.set_default_app(None)


def offer(app: Celery) -> None:
    """Make *app* the default application, unless the program has chosen one by `set_default()`."""
    global _chosen  # noqa: PLW0603 - as above
    present = _state.default_app
    if present is None or present is _chosen or _is_celerys_own(present):
        _chosen = app
        _state.set_default_app(app)


def make() -> None:
    """Make an application, and make it the default, for a process that has made none."""
    global _chosen  # noqa: PLW0603 - as above
    loader = os.environ.get("CELERY_LOADER") or "default"
    _chosen = _kind("default", fixups=[], set_as_current=False, loader=loader)
    _state.set_default_app(_chosen)


def _is_celerys_own(app: Any) -> bool:
    """Return whether Celery made *app* because it had none, before Capa was imported."""
    return type(app) is CeleryApp and app.main == "default" and not app.set_as_current


def _get_current_app() -> Any:
    """Run as `celery._state._get_current_app`, among the names of that module."""
    if default_app is None:  # type: ignore[name-defined] # noqa: F821
        from capa_celery._fallback import make

        make()
    return _tls.current_app or default_app  # type: ignore[name-defined] # noqa: F821
