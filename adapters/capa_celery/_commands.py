"""The commands of `celery` that Capa does not serve, refused before they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_celery._errors import clean_exit_of_commands, command_context, unsupported

if TYPE_CHECKING:
    from capa_celery._app import Celery

REFUSED = {
    "events": ("No events are sent: `celery events`", "Look at the queues with `capa queue list`.", "events"),
    "graph": (
        "The worker has no consumer of Celery and no remote control: `celery graph`",
        "Look at the queues with `capa queue list`.",
        "remote-control",
    ),
    "migrate": (
        "It moves messages between two brokers, past capa.toml: `celery migrate`",
        "Run it with the original application, or let its workers empty the old queues.",
        "addresses",
    ),
}
"""Command → the part that is not served, the replacement, and the section that says so."""


def refuse_unserved(app: Celery) -> None:
    """Refuse the command of `celery` that runs for *app*, if it is not served.

    Raises:
        CeleryCommandException: The reason, which the command prints; it exits with 69.
    """
    context = command_context()
    if context is None or getattr(context.obj, "app", None) is not app or app.capa.is_legacy:
        return
    refused = REFUSED.get(context.invoked_subcommand or "")
    if refused is not None:
        part, instead, section = refused
        with clean_exit_of_commands():
            raise unsupported(part, instead=instead, section=section)
