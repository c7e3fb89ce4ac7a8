"""The errors for a part of Celery that is not served, and for components that are away while a task runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import OperationalError

from capa_celery._sdk import SDK
from capa_core.errors import CapaError, UnsupportedError
from capa_core.shims import not_served


def unsupported(part: str, *, instead: str, section: str) -> UnsupportedError:
    """Return the error for a *part* of Celery that Capa does not serve: see `capa_core.shims.not_served`."""
    return not_served(SDK, part, instead=instead, section=section)


@contextmanager
def clean_exit_of_commands() -> Iterator[None]:
    """Turn an error of Capa in the `celery` command into its text and exit code 69; elsewhere raise it unchanged."""
    try:
        yield
    except CapaError as error:
        if command_context() is None:
            raise
        from celery.exceptions import CeleryCommandException
        from celery.platforms import EX_UNAVAILABLE

        raise CeleryCommandException(message=str(error), exit_code=EX_UNAVAILABLE) from error


def command_context() -> Any:
    """Return click's context of the `celery` command that runs; `None` in a command of the application, or in none."""
    program = sys.modules.get("celery.bin.celery")
    if program is None:
        return None
    context = click_context()
    root = context and context.find_root()
    return root if root is not None and root.command is program.celery else None


def click_context() -> Any:
    """Return click's context of the command, or of the part of it, that runs; `None` in none."""
    import click

    return click.get_current_context(silent=True)


def is_outage(error: BaseException) -> bool:
    """Return whether *error* is kombu's for a broker that may take the message later."""
    cause = error.__cause__
    return isinstance(error, OperationalError) and isinstance(cause, CapaError) and cause.retryable


class Outage(BaseException):
    """A component was away in the steps of Celery before or after the body of a task: the task will run again.

    No `Exception`, so that nothing in Celery handles it as the task's own failure.
    """


def is_in_a_worker(request: Any) -> bool:
    """Return whether *request*, as Celery's signals and tasks have it, is of a task that a worker runs."""
    if isinstance(request, dict):
        return request.get("is_eager") is False
    return getattr(request, "is_eager", None) is False and not getattr(request, "called_directly", True)
