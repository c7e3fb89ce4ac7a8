"""The errors for a part of Celery that is not served, and for components that are away while a task runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from capa_celery._sdk import SDK
from capa_core.errors import CapaError, UnsupportedError
from capa_core.shims import not_served


def unsupported(part: str, *, instead: str, section: str) -> UnsupportedError:
    """Return the error for a *part* of Celery that Capa does not serve: see `capa_core.shims.not_served`."""
    return not_served(SDK, part, instead=instead, section=section)


@contextmanager
def clean_exit_of_commands() -> Iterator[None]:
    """Let the `celery` command print an error of Capa in one line and exit with 69; elsewhere it is raised as it is."""
    try:
        yield
    except CapaError as error:
        if not _is_in_command():
            raise
        from celery.bin.base import CeleryCommandException
        from celery.platforms import EX_UNAVAILABLE

        raise CeleryCommandException(message=str(error), exit_code=EX_UNAVAILABLE) from error


def _is_in_command() -> bool:
    """Return whether the `celery` command runs, and not a command of the application or none."""
    import click

    program = sys.modules.get("celery.bin.celery")
    context = click.get_current_context(silent=True)
    return program is not None and context is not None and context.find_root().command is program.celery


class Outage(BaseException):
    """A component was away in the steps of Celery before or after the body of a task: the task will run again.

    No `Exception`, so that nothing in Celery handles it as the task's own failure.
    """


def is_in_a_worker(request: Any) -> bool:
    """Return whether *request*, as Celery's signals and tasks have it, is of a task that a worker runs."""
    if isinstance(request, dict):
        return request.get("is_eager") is False
    return getattr(request, "is_eager", None) is False and not getattr(request, "called_directly", True)
