"""Targets: the name in a string that gets patched or imported, and whether it moves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

from capa_codemods.read.facts import StringUse
from capa_codemods.read.files import read_file
from capa_codemods.sdks.callees import MODULES, PATCHES, WRAPPERS
from capa_codemods.sdks.names import Names
from capa_codemods.strings.calls import takes
from capa_codemods.strings.notes import may_be_label

_UNEDITABLE = ("the literal is joined from parts or escaped", "change it by hand")
# Parameters that a helper of a test passes on to `patch`, or to a function that imports.
_TARGETS = frozenset({"target", "path"})
# Calls whose strings are names of tasks or loggers, and keywords and keys of the same.
_NAMING = re.compile(
    r"(?:\w*\.)*(?:get_?logger|get_task_logger|send_task|signature|subtask|s|si|at_level|set_level|cast|TypeVar|ForwardRef"
    r"|NewType|reverse|Mark|mark)",
    re.IGNORECASE,
)
_NAMES = frozenset({"name", "task", "logger", "id", "ids", "match", "reason", "queue", "routing_key"})


class Aim(NamedTuple):
    """The name in a string: *rest* (attributes, dotted) of the served *module*; no module if none is served."""

    module: str
    rest: str

    @classmethod
    def of(cls, use: StringUse, names: Names) -> Aim:
        """Return the aim of *use*."""
        dotted = use.value.replace(":", ".")
        module = names.module_of(dotted) or ""
        return cls(module, dotted[len(module) + 1 :] if module else dotted)


class Beginning(NamedTuple):
    """The *old* beginning of a literal, and the *new* one in its place."""

    old: str
    new: str


def moved_beginning(literal: str, texts: Iterable[str], names: Names) -> Beginning | None:
    """Return the new beginning of *literal* by which each of *texts*, which begin with it, gets its new name.

    None if there is none: a part that is added may decide where the whole is.
    """
    old = names.module_of(literal)
    if old is None:
        return None
    for text in texts:
        module = names.module_of(text.replace(":", "."))
        if (
            module is None
            or names.modules[module] + text[len(module) :] != names.modules[old] + text[len(old) :]
        ):
            return None
    return Beginning(old, names.modules[old])


def is_no_target(use: StringUse, aim: Aim, names: Names) -> bool:
    """Return whether a call that patches leaves *use* alone: it is no name of an attribute, or is to stay."""
    # `client.patch("requests")` is a request: a patch names an attribute of a module, `patch.multiple` a module.
    if aim.module and not aim.rest and not use.callee.endswith("multiple"):
        return True
    line = names.nearest_line(use.value.replace(":", "."))
    return line is not None and line.patch == "original"


def may_be_target(use: StringUse, names: Names) -> bool:
    """Return whether *use*, in a test and passed to no call that is known, may be the name of something to patch."""
    aim = Aim.of(use, names)
    if use.place not in {"value", "argument", "default", "key"} or not aim.module or not aim.rest:
        return False
    if use.position in _NAMES or use.holder in _NAMES or _NAMING.fullmatch(use.callee):
        return False
    if may_be_label(use.value.replace(":", "."), aim.module) and not _is_in(aim.module, aim.rest):
        return False
    patched = use._replace(callee="patch", position=0, place="argument", start=max(use.start, 0))
    return not is_no_target(patched, aim, names) and reason_to_stay(patched, aim, names) is None


@cache
def _is_in(root: str, rest: str) -> bool:
    """Return whether the package *root*, if it is installed, mentions the first name of *rest*."""
    found = find_spec(root)  # of a package on top nothing is imported
    try:
        text = (read_file(found.origin or "") or b"") if found else b""
    except OSError:
        text = b""
    name = re.escape(rest.partition(".")[0].encode())
    return not text or re.search(rb"\b" + name + rb"\b", text) is not None


def may_be_default_target(use: StringUse, names: Names) -> bool:
    """Return whether *use*, a class or a member, is the default of a parameter for a name to patch or import."""
    module = names.module_of(use.value)
    if module is None or use.place != "default" or use.holder not in _TARGETS:
        return False
    line = names.nearest_line(use.value)
    is_served = line is None or (line.support != "none" and line.patch == "shim")
    return is_served and use.value[len(module) + 1 :][:1].isupper()


def reason_to_stay(use: StringUse, aim: Aim, names: Names) -> tuple[str, str] | None:
    """Return why a string that names something to patch or to import stays, and the next step; None if it moves."""
    owner = names.owner(use.value)
    package = owner.package if owner else "the adapter"
    if takes(WRAPPERS, use):
        # A wrapper of the adapter alone would no longer see the calls of other libraries.
        return "the migrated code calls the adapter, not what is wrapped", f"wrap {package} too, by hand"
    dotted = use.value.replace(":", ".")
    line = names.nearest_line(dotted)
    if not aim.module or (line is not None and line.support == "none"):
        return f"{package} does not serve it", "look whether the test or the import is still needed"
    if takes(MODULES, use):
        return _reason_for_module(use, aim, package, names)
    return _reason_for_target(use, aim, package, names)


def _reason_for_target(use: StringUse, aim: Aim, package: str, names: Names) -> tuple[str, str] | None:
    if names.is_unserved(use.value.replace(":", ".")):
        return f"it is in a module that {package} does not list", "look whether the test still needs it"
    first, dot, _ = aim.rest.partition(".")
    if takes(PATCHES, use) and first.startswith("_"):
        return (
            "it is private to the original, whose own code reads it",
            "patch the name that the code under test calls",
        )
    if dot and not first[:1].isupper() and names.line(f"{aim.module}.{first}") is None:
        return f"`{first}` may be a module that {package} does not list", "change it by hand if it is not"
    return _UNEDITABLE if use.start < 0 else None


def _reason_for_module(use: StringUse, aim: Aim, package: str, names: Names) -> tuple[str, str] | None:
    if aim.rest:
        return f"{package} does not list this module", "nothing to do: it keeps working, on the original"
    if use.callee.endswith("__import__") and not _keeps_top_level(aim.module, names):
        return "`__import__` returns the top-level package, which would be another one", "use `import_module`"
    return _UNEDITABLE if use.start < 0 else None


def _keeps_top_level(module: str, names: Names) -> bool:
    new_root = names.new_root(module)
    return new_root is not None and "." not in new_root
