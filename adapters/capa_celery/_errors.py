"""What is said when something is not served, and what ends a run whose surroundings are away."""

from __future__ import annotations

from typing import Any

from capa_core.errors import UnsupportedError

DOCS = "docs/differences/celery.md"


def unsupported(what: str, *, instead: str, anchor: str) -> UnsupportedError:
    """Return the error for a part of Celery that Capa does not serve, with what to do and where to read on."""
    return UnsupportedError(f"{what} is not served by capa_celery. {instead} See {DOCS}#{anchor}")


class Outage(BaseException):
    """A component was away while Celery did what stands around the body of a task: the task will run again.

    No `Exception`, so that nothing in Celery takes it for the task's own failure.
    """


def is_in_a_worker(request: Any) -> bool:
    """Return whether *request*, as Celery's signals and tasks have it, is of a task that a worker runs."""
    if isinstance(request, dict):
        return request.get("is_eager") is False
    return getattr(request, "is_eager", None) is False and not getattr(request, "called_directly", True)
