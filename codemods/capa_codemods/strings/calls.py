"""Calls that take the name of something to patch or to import, by their usual names."""

from __future__ import annotations

from collections.abc import Mapping

from capa_codemods.read.facts import StringUse
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.string_flow import Takes

Callees = Mapping[str, tuple[int, str]]
"""Callee, by its last name → the number and the keyword of the argument that names something."""

PATCHES: Callees = {
    "patch": (0, "target"),
    "setattr": (0, "target"),
    "delattr": (0, "target"),
    "multiple": (0, "target"),
}
MODULES: Callees = {
    "import_module": (0, "name"),
    "__import__": (0, "name"),
    "importorskip": (0, "modname"),
    "find_spec": (0, "name"),
}
OBJECTS: Callees = {"import_string": (0, "dotted_path"), "symbol_by_name": (0, "name")}
KINDS = (PATCHES, MODULES, OBJECTS)

_HELD: Callees = {**PATCHES, "find_spec": MODULES["find_spec"]}
"""On other objects these are other methods."""
_BUILTINS = frozenset({"setattr", "delattr"})


def takes(callees: Callees, use: StringUse) -> bool:
    """Return whether *use* is the argument of one of *callees* that names something."""
    expected = callees.get(use.callee.rpartition(".")[2])
    if use.callee in _BUILTINS or (use.callee.endswith("multiple") and ".patch." not in f".{use.callee}"):
        return False
    return use.place == "argument" and expected is not None and use.position in expected


def names_something(use: StringUse) -> bool:
    """Return whether *use* is the argument of a call that patches or imports what it names."""
    return any(takes(callees, use) for callees in KINDS)


def is_package(use: StringUse) -> bool:
    """Return whether *use* is the package to which `import_module` adds a relative name."""
    return use.place == "argument" and use.callee.endswith("import_module") and use.position in {1, "package"}


def doubt(use: StringUse, holders: Holders) -> tuple[str, str] | None:
    """Return why the call of *use* may be another method of the same name, and the next step; None if it is not."""
    if not takes(_HELD, use) or holders.is_meant(use.callee):
        return None
    callee = f"…{use.callee}" if use.callee.startswith(".") else use.callee
    return f"it is not certain that `{callee}` takes the name of a module", "change it by hand if it does"


def certain_calls(holders: Holders) -> Takes:
    """Return a function from callee and position to the kind of name that is certainly taken there."""

    def kind_of(callee: str, position: int | str) -> str:
        use = StringUse("", 0, 0, callee, position, "argument", "")
        if is_package(use):
            return "package"
        kinds = zip(("patch", "import", "object"), KINDS, strict=True)
        return next((kind for kind, one in kinds if takes(one, use) and not doubt(use, holders)), "")

    return kind_of
