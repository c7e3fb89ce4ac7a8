"""`celery.contrib.testing.worker`: a worker in a thread of the test, for applications on Capa."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from celery.contrib.testing import worker as _original

from capa_celery._worker.controller import WorkController
from capa_core import shims as _shims


class TestWorkController(WorkController, _original.TestWorkController):  # type: ignore[misc] # celery is not typed
    """A worker that reports when it is ready."""

    __test__ = False


def start_worker(app: Any, *args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
    """Run a worker in a thread for the length of a `with` block; the arguments are those of Celery's."""
    is_legacy = app.capa.is_legacy
    kwargs.setdefault("WorkController", _original.TestWorkController if is_legacy else TestWorkController)
    started: AbstractContextManager[Any] = _original.start_worker(app, *args, **kwargs)
    return started


_shims.mirror(__name__, "celery.contrib.testing.worker")
