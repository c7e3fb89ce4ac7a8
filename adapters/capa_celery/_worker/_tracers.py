"""Celery's tracers of tasks, and the event loops of those that are coroutines."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from celery.app import trace

if TYPE_CHECKING:
    from capa_celery import Celery


def build_tracers(app: Celery, hostname: str) -> None:
    """Build the tracer of each task."""
    for task in app.tasks.values():
        build_tracer(app, task, hostname)


def build_tracer(app: Celery, task: Any, hostname: str) -> None:
    """Build the tracer of a task. It is looked up late, because monitoring libraries replace it."""
    function = task.run
    if inspect.iscoroutinefunction(function):
        task.run = run_to_end(function)
    task.__trace__ = trace.build_tracer(task.name, task, app.loader, hostname, app=app)


class _ThreadRunner:
    """An event loop that is closed when its thread ends, as the thread's local values are released."""

    def __init__(self) -> None:
        import asyncio  # few applications have a task that is a coroutine

        self._runner = asyncio.Runner()
        self.run = self._runner.run

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._runner.close()


_runners = threading.local()


def run_to_end(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function that runs the coroutine of *function* on this thread's own event loop.

    The loop stays open between tasks, so that objects that are bound to it, such as a pool of connections, stay usable.
    """

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        runner = getattr(_runners, "runner", None)
        if runner is None:
            runner = _runners.runner = _ThreadRunner()
        return runner.run(function(*args, **kwargs))

    return run
