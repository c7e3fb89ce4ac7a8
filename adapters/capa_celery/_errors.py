"""The errors for a part of Celery that is not served, and for components that are away while a task runs."""

from __future__ import annotations

from typing import Any

from capa_celery._sdk import SDK
from capa_core.errors import UnsupportedError
from capa_core.shims import not_served


def unsupported(part: str, *, instead: str, section: str) -> UnsupportedError:
    """Return the error for a *part* of Celery that Capa does not serve: see `capa_core.shims.not_served`."""
    return not_served(SDK, part, instead=instead, section=section)


class Outage(BaseException):
    """A component was away in the steps of Celery before or after the body of a task: the task will run again.

    No `Exception`, so that nothing in Celery handles it as the task's own failure.
    """


def is_in_a_worker(request: Any) -> bool:
    """Return whether *request*, as Celery's signals and tasks have it, is of a task that a worker runs."""
    if isinstance(request, dict):
        return request.get("is_eager") is False
    return getattr(request, "is_eager", None) is False and not getattr(request, "called_directly", True)
