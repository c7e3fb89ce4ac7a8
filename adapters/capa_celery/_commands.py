"""The commands of `celery` that Capa does not serve, refused before they begin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from capa_celery._errors import clean_exit_of_commands, click_context, command_context, unsupported

if TYPE_CHECKING:
    from capa_celery._app import Celery

REFUSED = {
    "graph": (
        "The worker has no consumer of Celery: `celery graph`",
        "Look at the queues with `capa queue list`.",
        "remote-control",
    ),
    "migrate": (
        "It moves messages between two brokers, past capa.toml: `celery migrate`",
        "Move the tasks of a broker by `capa migrate drain`.",
        "addresses",
    ),
}
"""Command → the part that is not served, the replacement, and the section that says so."""


def refuse_unserved(app: Celery) -> None:
    """Refuse the command of `celery` that runs for *app*, if it is not served. Its help and its options are shown.

    Raises:
        CeleryCommandException: The reason, which the command prints; it exits with 69.
    """
    root = command_context()
    if root is None or getattr(root.obj, "app", None) is not app or app.capa.is_legacy:
        return
    refused = REFUSED.get(root.invoked_subcommand or "")
    context = click_context()
    if (
        refused is None or context is root
    ):  # the words behind the command are not parsed yet: they may ask for help
        return
    if context.invoked_subcommand is None:
        _refuse(*refused)
    context.obj = _WithoutApp(context.obj, refused)


def _refuse(part: str, instead: str, section: str) -> NoReturn:
    with clean_exit_of_commands():
        raise unsupported(part, instead=instead, section=section)


class _WithoutApp:
    """The object of a group of commands, for the one of them that runs next: it is refused when it asks for the app."""

    def __init__(self, given: Any, refused: tuple[str, str, str]) -> None:
        self._given = given
        self._refused = refused

    @property
    def app(self) -> NoReturn:
        _refuse(*self._refused)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._given, name)
