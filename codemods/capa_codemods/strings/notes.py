"""Remarks about strings that name something of an SDK and are passed to no call that is known to take them."""

from __future__ import annotations

import re

from capa_codemods.read.facts import StringUse
from capa_codemods.sdks.names import Names

_LAZY = re.compile(r"lazy[._]?(?:load|import|module)", re.IGNORECASE)
_LOGGERS = frozenset(
    {"getLogger", "get_logger", "get_task_logger", "assertLogs", "assertNoLogs", "ignore_logger"}
)
# Their strings are read by type checkers.
_TYPES = frozenset({"cast", "TypeVar", "ForwardRef", "NewType"})
# Keys of a setting whose values logging and Django import.
_FACTORIES = frozenset({"()", "class", "BACKEND", "ENGINE"})


def warning_on(use: StringUse, names: Names) -> tuple[str, str] | None:
    """Return the warning of *use*, which gives the original to the migrated code, and the next step; None if none."""
    if use.holder.endswith("sys.modules"):
        new = names.modules.get(use.value, "its adapter")
        return (
            f"`sys.modules[{use.value!r}]` is the original",
            f"the migrated code imports {new}: name that if it is meant",
        )
    if use.place == "table" or (use.place == "argument" and _LAZY.search(use.callee)):
        said = f"`{use.value}` may be imported when it is first used"
        return said, "name the adapter by hand if it is"
    return None


def note_on(use: StringUse, names: Names) -> tuple[str, str] | None:
    """Return the note on *use* and the next step; None if it is only a string."""
    tail = use.callee.rpartition(".")[2]
    if tail in _LOGGERS or (use.place == "argument" and use.position == "logger"):
        return f"the logger `{use.value}` keeps its name", "nothing to do"
    if tail == "get" and use.place == "argument" and use.position == 0:
        return f"`get({use.value!r})` has the name of an SDK", "nothing to do if it is only a key"
    return _note_on_value(use, names) if tail not in _TYPES and use.place != "key" else None


def _note_on_value(use: StringUse, names: Names) -> tuple[str, str] | None:
    dotted = use.value.replace(":", ".")
    module = names.module_of(dotted) if "." in dotted else None
    if module is None:
        return None
    is_factory = use.holder in _FACTORIES
    is_setting = is_factory or use.holder.isupper()
    if not is_factory and may_be_label(dotted, module) and not (is_setting and _is_known(dotted, names)):
        return None
    if is_setting:
        said = f"the setting `{use.holder}` names `{use.value}`, which stays the original's"
        return said, f"name {names.modules[module]} if the adapter's is meant"
    return (
        f"the string {use.value!r} names something of an SDK",
        "name the adapter by hand if it gets imported",
    )


def may_be_label(dotted: str, module: str) -> bool:
    """Return whether *dotted*, a name of *module*, may be that of something else."""
    # `celery.ping` is the name of a task or a metric as often as that of a function.
    rest = dotted[len(module) + 1 :]
    return "." not in module and rest != "" and not rest[:1].isupper()


def _is_known(dotted: str, names: Names) -> bool:
    """Return whether the import maps mention *dotted*."""
    owner = names.owner(dotted)
    is_known = names.is_unserved(dotted) or names.nearest_line(dotted) is not None
    return is_known or (owner is not None and dotted in owner.returns)
