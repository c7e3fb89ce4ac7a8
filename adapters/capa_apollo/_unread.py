"""Namespaces without values: an error, or one line in the log for each, that names the command which brings them."""

from __future__ import annotations

import logging
import shlex
import threading
import weakref
from typing import TYPE_CHECKING

from capa_apollo._sdk import SDK
from capa_core import default_runtime
from capa_core.errors import CapaError, NotFoundError
from capa_core.secret import without_credentials
from capa_core.shims import details, unread

if TYPE_CHECKING:
    from capa_apollo._space import Space
    from capa_core.blocks.configuration import Configuration

_reported: weakref.WeakKeyDictionary[Configuration, set[tuple[str, str, str]]] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def missing(space: Space, namespace: str) -> NotFoundError:
    """Return the error for a namespace that the component of *space* does not have."""
    return NotFoundError(
        f"{_title(space, namespace)} does not exist in configuration component {space.configuration.name!r}"
        f" ({_searched(space)}). Bring its values with `{pull_command(space, namespace)}`."
        f" {details(SDK, 'values')}."
    )


def report(space: Space, namespace: str, error: CapaError) -> None:
    """Log, once for each namespace of a component, that its defaults are served, and note it for `capa doctor`."""
    scope = space.scope(namespace)
    with _lock:
        reported = _reported.setdefault(space.configuration, set())
        if (key := (scope["application"], scope["group"], scope["label"])) in reported:
            return
        reported.add(key)
    text = (
        str(error)
        if isinstance(error, NotFoundError)
        else f"{_title(space, namespace)} cannot be read: {error}"
    )
    logging.getLogger("capa_apollo").error(
        "%s Until it has values, the defaults in the code are served.", text
    )
    one = unread.UnreadGroup(
        sdk=SDK.name,
        component=space.configuration.name,
        searched=_searched(space),
        next_step=pull_command(space, namespace),
        **scope,
    )
    unread.note(default_runtime(), one)


def found(space: Space, namespace: str) -> None:
    """Take back the note about a namespace that has values."""
    unread.clear(default_runtime(), space.configuration.name, **space.scope(namespace))


def is_apollos_own(space: Space) -> bool:
    """Return whether an Apollo server serves *space*: its answer is the one that the original would get."""
    rows = default_runtime().report()
    return ("configuration", space.configuration.name, "apollo") in {
        (row.block, row.name, row.driver) for row in rows
    }


def pull_command(space: Space, namespace: str) -> str:
    """Return the command that brings the values of a namespace from the Apollo server that the program named."""
    server, app_id = without_credentials(space.server) or "URL", space.app_id or "APP"
    words = ["capa", "config", "pull", "--from-apollo", server, "--app-id", app_id]
    if label := space.scope(namespace)["label"]:
        words += ["--cluster", label]
    return shlex.join([*words, "--namespace", namespace])


def _title(space: Space, namespace: str) -> str:
    app = f" of app {space.app_id!r}" if space.app_id else ""
    return f"Apollo namespace {namespace!r}{app} in cluster {space.cluster!r}"


def _searched(space: Space) -> str:
    try:
        return space.configuration.ping()
    except CapaError as error:
        return str(error)
