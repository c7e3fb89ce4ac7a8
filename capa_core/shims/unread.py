"""Configuration groups without values: noted by the adapter that looked for them, and listed by `capa doctor`.

A migrated program whose values were left behind serves the defaults in its code, where its SDK's contract is not to
raise. It logs that; the note in `.capa/unread` lets another process tell too.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from capa_core.errors import CapaError
from capa_core.folders import own

if TYPE_CHECKING:
    from capa_core.runtime import Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadGroup:
    """A group that a program asked for and that had no values.

    Attributes:
        sdk: The SDK whose adapter asked.
        component: The logical name of the configuration component.
        searched: The place that was searched, as the component itself describes it.
        next_step: The command that brings the values.
    """

    sdk: str
    component: str
    application: str
    group: str
    label: str
    searched: str
    next_step: str


def note(runtime: Runtime, one: UnreadGroup) -> None:
    """Note *one* for `capa doctor`; nothing is noted where the disk cannot be written.

    A component that this process has alone is left out: no other could look into it.
    """
    if _is_private(runtime, one.component):
        return
    path = _path(runtime, one.component, one.application, one.group, one.label)
    with suppress(OSError):  # the log has it; a read-only disk must not end the program
        own(runtime.folder, path.parent.name)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="utf-8", delete=False) as file:
            json.dump(asdict(one), file)
        Path(file.name).replace(path)


def clear(runtime: Runtime, component: str, *, application: str, group: str, label: str) -> None:
    """Remove the note about a group that has values now, if there is one."""
    with suppress(OSError):
        _path(runtime, component, application, group, label).unlink()


def unread(runtime: Runtime) -> list[UnreadGroup]:
    """Return the noted groups that have no values yet, or cannot be read, looking at each again."""
    noted = map(_read, sorted(_folder(runtime).glob("*.json")))
    return [one for one in noted if one is not None and _is_unread(runtime, one)]


def _is_unread(runtime: Runtime, one: UnreadGroup) -> bool:
    try:
        component = runtime.configuration(one.component)
        view = component.view(one.group, application=one.application, label=one.label)
    except CapaError:
        return True
    return not view.version


def _is_private(runtime: Runtime, component: str) -> bool:
    rows = (row for row in runtime.report() if (row.block, row.name) == ("configuration", component))
    return any(row.reach == "process" for row in rows)


def _read(path: Path) -> UnreadGroup | None:
    try:
        return UnreadGroup(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # removed meanwhile, or written by another version
        return None


def _folder(runtime: Runtime) -> Path:
    return runtime.folder / "unread"


def _path(runtime: Runtime, *names: str) -> Path:
    digest = hashlib.blake2b(json.dumps(names).encode(), digest_size=10).hexdigest()
    return _folder(runtime) / f"{digest}.json"
