"""Celery's tracers of tasks, the event loops of those that are coroutines, and the end of children that they fork."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from celery.app import trace

from capa_core.supervision import end_forked_child

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
    traced = _TracedRun(task)
    task.__trace__ = trace.build_tracer(task.name, task, app.loader, hostname, app=app)
    traced.restore()


class _TracedRun:
    """The `run` of *task* as a tracer shall call it: a child that it forks, and that comes back from it, ends.

    Celery's tracer would store the child's result for that of its parent, and send what follows the task twice.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._own = vars(task).get("run")
        if not getattr(task.run, "ends_children", False):
            task.run = _ending_children(task.run)

    def restore(self) -> None:
        """Give the task its own `run` back, unless the tracer calls that through a `__call__` of the task."""
        if trace.task_has_custom(self._task, "__call__"):
            return
        if self._own is None:
            del self._task.run
        else:
            self._task.run = self._own


def _ending_children(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        owner = os.getpid()
        try:
            return function(*args, **kwargs)
        finally:
            end_forked_child(owner)

    run.ends_children = True  # type: ignore[attr-defined]
    return run


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
