"""Strings that name a module of an SDK, where they are passed to code that is known to import it.

    patch("requests.get")                  →  patch("capa_requests.get")
    monkeypatch.setattr("celery.chord", x) →  monkeypatch.setattr("capa_celery.chord", x)
    import_module("requests.exceptions")   →  import_module("capa_requests.exceptions")
    pytest.importorskip("celery")          →  pytest.importorskip("capa_celery")
    {"get": "requests"} that a `__getattr__` imports from  →  {"get": "capa_requests"}

A patch must land where the code under test looks. After the rewrite that is the adapter's module, so the target
moves, unless the import map says `patch = "original"` or the name is private to the original; see
docs/explanation/patch-targets.md.

`patch`, `setattr`, `delattr` and `find_spec` count on the modules and fixtures that have them, by their usual names or
by what the file binds: `mocker.patch`, `with monkeypatch.context() as m`. On anything else they are left alone and
reported, since `client.patch("requests.json")` is a request.

Left alone and reported: `def f(target="requests.Session.send")`, whose call may patch it,
`getLogger("requests")` (loggers keep their names), `d.get("celery")`,
`sys.modules["requests"]`, `patch.dict("sys.modules", …)`, settings that name a dotted path, literals that are joined
or escaped, names that are put together (`import_module("celery." + name)`, `import_module(".result", "celery")`), and
lazy imports of other shapes. In doubt a string is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project
from capa_codemods.read.facts import StringUse
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.sdks.names import Names
from capa_codemods.write.splice import splice

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")

# Callee, by its last name → the number and the keyword of the argument that names something.
_PATCHES = {
    "patch": (0, "target"),
    "setattr": (0, "target"),
    "delattr": (0, "target"),
    "multiple": (0, "target"),
}
_MODULES = {
    "import_module": (0, "name"),
    "__import__": (0, "name"),
    "importorskip": (0, "modname"),
    "find_spec": (0, "name"),
}
# On other objects these are other methods.
_HELD = {**_PATCHES, "find_spec": _MODULES["find_spec"]}
_BUILTINS = frozenset({"setattr", "delattr"})
_OBJECTS = {"import_string": (0, "dotted_path"), "symbol_by_name": (0, "name")}
_LAZY = re.compile(r"lazy[._]?(?:load|import|module)", re.IGNORECASE)
_UNEDITABLE = ("the literal is joined from parts or escaped", "change it by hand")
_LOGGERS = frozenset({"getLogger", "get_logger", "get_task_logger"})
# Their strings are read by type checkers.
_TYPES = frozenset({"cast", "TypeVar", "ForwardRef", "NewType"})
# Keys of a setting whose values logging and Django import.
_FACTORIES = frozenset({"()", "class", "BACKEND", "ENGINE"})

# Parameters that a helper of a test passes on to `patch`, or to a function that imports.
_TARGETS = frozenset({"target", "path"})


class _Aim(NamedTuple):
    """The name in a string: *rest* (attributes, dotted) of the served *module*; no module if none is served."""

    module: str
    rest: str


class Strings(Rule[PythonFile]):
    """Move the names that tests patch and that code imports by string."""

    id = "strings"
    summary = "strings that name a module to patch or to import name its adapter"
    reads = PythonFile

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield an edit for each string that must move, and a finding for each that may have to."""
        names = project.names
        quoted = names.sieve.quoted(file.data)
        if not quoted:
            return
        holders = Holders(file.tree)
        for use in file.strings(quoted):
            root = use.value.partition(".")[0].partition(":")[0]
            if root not in names.roots or project.refusal(root, file.path):
                continue
            if use.place == "built":
                yield from self._built(use, names, holders)
            elif _DOTTED.fullmatch(use.value):
                yield from self.use(use, names, holders)

    def use(self, use: StringUse, names: Names, holders: Holders) -> Iterator[Edit | Finding]:
        """Yield the edit or the finding for one string that names something of an SDK."""
        if not _names_something(use):
            if _is_package(use):
                yield self._stays(use, names, "a relative name is added to it")
            elif _may_be_patched(use, names):
                yield self._stays(
                    use, names, f"it is the default of `{use.holder}`, which may get it patched or imported"
                )
            elif note := _note(use, names):
                yield Finding(self.id, use.line, "note", *note)
            return
        dotted = use.value.replace(":", ".")
        module = names.module_of(dotted) or ""
        aim = _Aim(module, dotted[len(module) + 1 :] if module else dotted)
        line = names.nearest_line(dotted)
        if _takes(_PATCHES, use) and (_is_no_target(use, aim) or (line and line.patch == "original")):
            return
        if stays := _doubt(use, holders) or _reason_to_stay(use, aim, names):
            yield Finding(
                self.id, use.line, "warning", f"`{use.value}` stays on the original: {stays[0]}", stays[1]
            )
        else:
            yield Edit(use.start, use.start + len(module.encode()), names.modules[module].encode(), self.id)

    def _built(self, use: StringUse, names: Names, holders: Holders) -> Iterator[Finding]:
        argument = use._replace(place="argument")
        if _is_package(argument) or (_names_something(argument) and not _doubt(argument, holders)):
            yield self._stays(use, names, "the name is put together when the program runs")

    def _stays(self, use: StringUse, names: Names, reason: str) -> Finding:
        root = use.value.partition(".")[0]
        said = f"`{use.value}` stays on the original: {reason}"
        return Finding(self.id, use.line, "warning", said, f"name {names.roots[root].package} by hand")


def _names_something(use: StringUse) -> bool:
    return any(_takes(callees, use) for callees in (_PATCHES, _MODULES, _OBJECTS))


def _is_package(use: StringUse) -> bool:
    return use.place == "argument" and use.callee.endswith("import_module") and use.position in {1, "package"}


def _may_be_patched(use: StringUse, names: Names) -> bool:
    """Return whether *use*, a class or a member, is the default of a parameter for a name to patch or import."""
    module = names.module_of(use.value)
    if module is None or use.place != "default" or use.holder not in _TARGETS:
        return False
    line = names.nearest_line(use.value)
    is_served = line is None or (line.support != "none" and line.patch == "shim")
    return is_served and use.value[len(module) + 1 :][:1].isupper()


def _takes(callees: dict[str, tuple[int, str]], use: StringUse) -> bool:
    expected = callees.get(use.callee.rpartition(".")[2])
    if use.callee in _BUILTINS or (use.callee.endswith("multiple") and ".patch." not in f".{use.callee}"):
        return False
    return use.place == "argument" and expected is not None and use.position in expected


def _is_no_target(use: StringUse, aim: _Aim) -> bool:
    # `client.patch("requests")` is a request: a patch names an attribute of a module, `patch.multiple` a module.
    return bool(aim.module) and not aim.rest and not use.callee.endswith("multiple")


def _doubt(use: StringUse, holders: Holders) -> tuple[str, str] | None:
    if not _takes(_HELD, use) or holders.is_meant(use.callee):
        return None
    callee = f"…{use.callee}" if use.callee.startswith(".") else use.callee
    return f"it is not certain that `{callee}` takes the name of a module", "change it by hand if it does"


def _reason_to_stay(use: StringUse, aim: _Aim, names: Names) -> tuple[str, str] | None:
    """Return why a string that names something to patch or to import stays, and the next step; None if it moves."""
    owner = names.owner(use.value)
    package = owner.package if owner else "the adapter"
    dotted = use.value.replace(":", ".")
    line = names.nearest_line(dotted)
    if not aim.module or (line is not None and line.support == "none"):
        return f"{package} does not serve it", "look whether the test or the import is still needed"
    if _takes(_MODULES, use):
        return _reason_for_module(use, aim, package, names)
    if names.is_unserved(dotted):
        return f"it is in a module that {package} does not list", "look whether the test still needs it"
    first, dot, _ = aim.rest.partition(".")
    if _takes(_PATCHES, use) and first.startswith("_"):
        return (
            "it is private to the original, whose own code reads it",
            "patch the name that the code under test calls",
        )
    if dot and not first[:1].isupper() and names.line(f"{aim.module}.{first}") is None:
        return f"`{first}` may be a module that {package} does not list", "change it by hand if it is not"
    return _UNEDITABLE if use.start < 0 else None


def _reason_for_module(use: StringUse, aim: _Aim, package: str, names: Names) -> tuple[str, str] | None:
    if aim.rest:
        return f"{package} does not list this module", "nothing to do: it keeps working, on the original"
    if use.callee.endswith("__import__") and not _keeps_top_level(aim.module, names):
        return "`__import__` returns the top-level package, which would be another one", "use `import_module`"
    return _UNEDITABLE if use.start < 0 else None


def _keeps_top_level(module: str, names: Names) -> bool:
    new_root = names.new_root(module)
    return new_root is not None and "." not in new_root


def moved_patch_target(target: str, names: Names) -> str:
    """Return where a patch of *target* must land once the code under test is rewritten: *target* itself if it stays."""
    root = target.partition(".")[0]
    if root not in names.roots or not _DOTTED.fullmatch(target):
        return target
    use = StringUse(target, 0, 0, "patch", 0, "argument", "")
    edits = [item for item in Strings().use(use, names, Holders(None)) if isinstance(item, Edit)]
    return splice(target.encode(), edits).decode()


def _note(use: StringUse, names: Names) -> tuple[str, str] | None:
    tail = use.callee.rpartition(".")[2]
    if tail in _LOGGERS:
        return f"the logger `{use.value}` keeps its name", "nothing to do"
    if use.holder.endswith("sys.modules"):
        new = names.modules.get(use.value, "its adapter")
        return (
            f"`sys.modules[{use.value!r}]` is the original",
            f"the migrated code imports {new}: name that if it is meant",
        )
    if use.place == "table" or (use.place == "argument" and _LAZY.search(use.callee)):
        said = f"`{use.value}` may be imported when it is first used"
        return said, "name the adapter by hand if it is"
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
    if not is_factory and _may_be_label(dotted, module) and not (is_setting and _is_known(dotted, names)):
        return None
    if is_setting:
        said = f"the setting `{use.holder}` names `{use.value}`, which stays the original's"
        return said, f"name {names.modules[module]} if the adapter's is meant"
    return (
        f"the string {use.value!r} names something of an SDK",
        "name the adapter by hand if it gets imported",
    )


def _may_be_label(dotted: str, module: str) -> bool:
    # `celery.ping` is the name of a task or a metric as often as that of a function.
    rest = dotted[len(module) + 1 :]
    return "." not in module and rest != "" and not rest[:1].isupper()


def _is_known(dotted: str, names: Names) -> bool:
    owner = names.owner(dotted)
    is_known = names.is_unserved(dotted) or names.nearest_line(dotted) is not None
    return is_known or (owner is not None and dotted in owner.returns)
