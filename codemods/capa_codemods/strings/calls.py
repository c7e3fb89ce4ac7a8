"""Whether a string is the argument of a call that takes the name of something to patch, to wrap or to import."""

from __future__ import annotations

from capa_codemods.read.facts import StringUse
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.string_flow import Takes
from capa_codemods.sdks.callees import KINDS, METHODS, MODULES, PATCHES, Callees

_HELD: Callees = {**PATCHES, "find_spec": MODULES["find_spec"]}
"""On other objects these are other methods."""


def takes(callees: Callees, use: StringUse) -> bool:
    """Return whether *use* is the argument of one of *callees* that names something."""
    expected = callees.get(use.callee.rpartition(".")[2])
    if use.callee in METHODS or (use.callee.endswith("multiple") and ".patch." not in f".{use.callee}"):
        return False
    return use.place == "argument" and expected is not None and use.position in expected


def names_something(use: StringUse) -> bool:
    """Return whether *use* is the argument of a call that patches, wraps or imports what it names."""
    return any(takes(callees, use) for callees in KINDS.values())


def is_package(use: StringUse) -> bool:
    """Return whether *use* is the package to which `import_module` adds a relative name."""
    return use.place == "argument" and use.callee.endswith("import_module") and use.position in {1, "package"}


def doubt(use: StringUse, holders: Holders) -> tuple[str, str] | None:
    """Return why the call of *use* may be another method of the same name, and the next step; None if it is not."""
    if not takes(_HELD, use) or holders.is_meant(use.callee):
        return None
    callee = f"…{use.callee}" if use.callee.startswith(".") else use.callee
    return f"it is not certain that `{callee}` takes the name of a module", "change it by hand if it does"


def by_usual_name(use: StringUse, holders: Holders) -> StringUse:
    """Return *use* with the usual name of each callee that the file imports under another."""
    reached = tuple(one._replace(callee=holders.usual_name(one.callee)) for one in use.reached)
    return use._replace(callee=holders.usual_name(use.callee), reached=reached)


def certain_calls(holders: Holders) -> Takes:
    """Return a function from callee and position to the kind of name that is certainly taken there."""

    def kind_of(callee: str, position: int | str) -> str:
        use = StringUse("", 0, 0, holders.usual_name(callee), position, "argument", "")
        if is_package(use):
            return "package"
        return next((kind for kind, one in KINDS.items() if takes(one, use) and not doubt(use, holders)), "")

    return kind_of
