"""Strings that name a module of an SDK, where they are passed to code that is known to import it.

    patch("requests.get")                  →  patch("capa_requests.get")
    monkeypatch.setattr("celery.chord", x) →  monkeypatch.setattr("capa_celery.chord", x)
    import_module("requests.exceptions")   →  import_module("capa_requests.exceptions")
    pytest.importorskip("celery")          →  pytest.importorskip("capa_celery")
    pytest_plugins = ["celery.contrib.pytest"]  →  pytest_plugins = ["capa_celery.contrib.pytest"]
    {"get": "requests"} that a `__getattr__` imports from  →  {"get": "capa_requests"}
    >>> patch("requests.get")              →  >>> patch("capa_requests.get")      an example in a docstring, whose
                                                                                  own imports move then, too

The way to the call may lead through names of the file, if nothing else uses what they hold: a constant, a table, a
loop, an attribute of a class, the result of a function, an argument of a helper, of a parametrized test
(`parameterized.expand` too) or of a fixture.

    TARGET = "requests.get"                →  TARGET = "capa_requests.get"
    with patch(TARGET): ...                   with patch(TARGET): ...

It may lead through expressions too, if all that is added to the string is written out in the file: a sum, an f-string,
`%`, `format`, `join`.

    MODULE = "requests"                    →  MODULE = "capa_requests"
    with patch(f"{MODULE}.get"): ...          with patch(f"{MODULE}.get"): ...

A patch must land where the code under test looks. After the rewrite that is the adapter's module, so the target
moves, unless the import map says `patch = "original"` or the name is private to the original; see
docs/explanation/patch-targets.md.

`patch`, `setattr`, `delattr` and `find_spec` count on the modules and fixtures that have them, by their usual names or
by bindings in the file: `mocker.patch`, `with monkeypatch.context() as m`. On other objects they are left alone and
reported, since `client.patch("requests.json")` is a request.

In a test, any other string that names something of an SDK, or begins a text that does, is warned of: it may be a
target, and a patch of the original has no effect on code that has moved. So is

- a constant, a member of an enumeration or an attribute of a class that a test of another file patches, or any file
  imports, also where a package exports it again, and a module that is passed to a function, a fixture or an inherited
  method of another file which does so;
- what is put into `sys.modules` or taken from there, and `lazy_import("requests")`;
- what `wrapt` wraps, `wrap_function_wrapper("requests", "Session.get", f)`: other libraries call the original too;
- a name that a test compares with what gets imported, `if name == "requests": raise ImportError`;
- a name that its file spells in parts only, `patch("re" "quests.get")`.

`capa migrate check` exits with 1 until it is changed by hand, or its line has `# capa: ignore[strings]`.

Left alone and reported: a name that holds such a string and that other code, or another file, uses too,
`def f(target="requests.Session.send")`, whose call may patch it,
`getLogger("requests")` (loggers keep their names), `d.get("celery")`,
settings that name a dotted path, literals that are joined or escaped, names that other methods of strings make
(`"requests.get requests.post".split()`, a `Template`), names with a part that is known only when the program runs
(`import_module("celery." + name)`, `import_module(".result", "celery")`), and lazy imports of other shapes. In doubt a
string is left alone. A word that reaches no such call, such as a key or the name of a distribution, is only a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project
from capa_codemods.read.examples import code_of, examples_in
from capa_codemods.read.facts import Reached, StringUse
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.tests import is_test
from capa_codemods.rule import Rule
from capa_codemods.rules.imports import Imports
from capa_codemods.sdks.callees import KINDS, PATCHES
from capa_codemods.sdks.names import Names
from capa_codemods.sdks.passed_on import sees_imports
from capa_codemods.strings.calls import (
    by_usual_name,
    certain_calls,
    doubt,
    is_package,
    names_something,
    takes,
)
from capa_codemods.strings.elsewhere import use_elsewhere
from capa_codemods.strings.notes import note_on, warning_on
from capa_codemods.strings.targets import (
    Aim,
    is_no_target,
    may_be_default_target,
    may_be_target,
    moved_beginning,
    reason_to_stay,
)
from capa_codemods.write.splice import splice

_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*(?::[^\W\d]\w*(?:\.[^\W\d]\w*)*)?")

_NAMED = re.compile(r"(?<![\w./:-])[^\W\d]\w*")
"""The first word of each dotted name in a text; those of a path or an address are no names."""
_WORD = re.compile(rb"\w+")
_LONGEST_LINE = 100
_MAY_TAKE = re.compile("|".join(name for callees in KINDS.values() for name in callees).encode())


class Strings(Rule[PythonFile]):
    """Move the names that tests patch and that code imports by string."""

    id = "strings"
    summary = "strings that name a module to patch or to import name its adapter"
    reads = PythonFile

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield an edit for each string that must move, and a finding for each that may have to."""
        quoted = self._quoted(file, project)
        if not quoted:
            return
        holders = Holders(file.tree)
        for string in file.strings(quoted, certain_calls(holders)):
            use = by_usual_name(string, holders)
            if use.place == "statement" and ">>>" in use.value:
                yield from self._examples(use, file, project)
                continue
            root = _root_of(use, project.names)
            if root and not project.refusal(root, file.path):
                yield from self._found(use, file, project, holders)

    def _quoted(self, file: PythonFile, project: Project) -> list[int]:
        """Return where *file* quotes a root that is an SDK there: most packages that quote themselves need no more."""
        found = project.names.sieve.quoted(file.data)
        roots = project.names.roots
        words = ((one, _word_at(file.data, one)) for one in found)
        return [one for one, word in words if word not in roots or not project.refusal(word, file.path)]

    def use(self, use: StringUse, names: Names, holders: Holders) -> Iterator[Edit | Finding]:
        """Yield the edit or the finding for one string that names something of an SDK."""
        if not names_something(use):
            yield from self._unused(use, names)
            return
        aim = Aim.of(use, names)
        if takes(PATCHES, use) and is_no_target(use, aim, names):
            return
        if stays := doubt(use, holders) or reason_to_stay(use, aim, names):
            yield self._stays(use, *stays)
        else:
            new = names.modules[aim.module].encode()
            yield Edit(use.start, use.start + len(aim.module.encode()), new, self.id)

    def _found(
        self, use: StringUse, file: PythonFile, project: Project, holders: Holders
    ) -> Iterator[Edit | Finding]:
        names = project.names
        if use.reached:
            yield from self._reached(use, file, project, holders)
        elif is_test(file.path, file.data) and self._may_get_patched(use, names):
            yield self._by_hand(use, names, "a test may patch it, and it is not certain where it is used")
        elif reason := use_elsewhere(use, file, project):
            yield self._by_hand(use, names, reason)
        elif is_test(file.path, file.data) and self._decides(use, file, names):
            yield self._by_hand(use, names, "a test may compare it with the name of what gets imported")
        elif use.place == "built" or not _DOTTED.fullmatch(use.value):
            return
        else:
            yield from self.use(use, names, holders)

    def _may_get_patched(self, use: StringUse, names: Names) -> bool:
        """Return whether *use*, in a test, or a text that begins with it may be the name of something to patch."""
        if names_something(use):
            return False
        if any(text.endswith(".") and text[:-1] in names.modules for text in use.built):
            return True
        texts = (use._replace(value=text, place="value") for text in use.built)
        written = [] if use.place == "built" else [use]
        return any(_DOTTED.fullmatch(one.value) and may_be_target(one, names) for one in (*written, *texts))

    def _decides(self, use: StringUse, file: PythonFile, names: Names) -> bool:
        """Return whether *use* may be compared with the names of modules that are imported or loaded."""
        is_compared = use.place == "compared" or use.held or use.callee.endswith(".startswith")
        module = use.value.removesuffix(".")
        is_module = module in names.modules or module in names.roots
        return bool(is_compared) and is_module and sees_imports(file.data)

    def _reached(
        self, use: StringUse, file: PythonFile, project: Project, holders: Holders
    ) -> Iterator[Edit | Finding]:
        """Yield the edit or the findings for a string that reaches calls through names and expressions."""
        names = project.names
        calls = [use.at(one) for one in use.reached if _may_name(one, names)]
        if not calls:
            return
        if all(one.holder == "sys.modules" for one in calls):
            yield from (item for one in calls for item in self.use(one, names, holders))
            return
        callee = next(one.callee for one in calls if one.callee)
        shared = (project.shared_names.importer_of(file.path, one.name) for one in use.held)
        if use.other_line:
            yield self._by_hand(use, names, f"it reaches `{callee}`, and other code in line {use.other_line}")
        elif other := next(filter(None, shared), None):
            yield self._by_hand(use, names, f"it reaches `{callee}`, and {other} may use it too")
        elif len(calls) < len(use.reached):
            yield self._by_hand(use, names, f"it reaches `{callee}` in the name of something else too")
        elif not all(one.is_whole for one in use.reached):
            yield self._by_hand(use, names, "the name is put together when the program runs")
        else:
            found = [item for one in calls for item in self.use(one, names, holders)]
            yield from self._together(use, calls, found, names)

    def _together(
        self, use: StringUse, calls: Sequence[StringUse], found: Sequence[Edit | Finding], names: Names
    ) -> Iterator[Edit | Finding]:
        """Yield the one edit of a string if it moves for all *calls*, with what was *found* for each."""
        edits = [item for item in found if isinstance(item, Edit)]
        new = moved_beginning(use.value, [one.value for one in calls], names)
        if not edits:
            yield from dict.fromkeys(found)
        elif len(edits) < len(calls):
            yield self._by_hand(
                use, names, f"it reaches `{calls[0].callee}`, and a place where the name stays"
            )
        elif new is None:
            is_whole = names.module_of(use.value) is not None
            said = "the parts of the name move to different places" if is_whole else "it is a part of a name"
            yield self._by_hand(use, names, said)
        else:
            yield Edit(use.start, use.start + len(new.old.encode()), new.new.encode(), self.id)

    def _unused(self, use: StringUse, names: Names) -> Iterator[Finding]:
        """Yield the finding for a string that no known call takes."""
        if is_package(use):
            yield self._by_hand(use, names, "a relative name is added to it")
        elif may_be_default_target(use, names):
            yield self._by_hand(
                use, names, f"it is the default of `{use.holder}`, which may get it patched or imported"
            )
        elif warning := warning_on(use, names):
            yield Finding(self.id, use.line, "warning", *warning, blocks=True)
        elif note := note_on(use, names):
            yield Finding(self.id, use.line, "note", *note)

    def _examples(self, use: StringUse, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits and findings of the examples in a docstring, as places in the file."""
        code = code_of(file.data[use.start : use.end]) if use.start >= 0 else use.value.encode()
        if not _MAY_TAKE.search(code) or not project.names.sieve.quoted(code):
            return
        try:
            examples = examples_in(use, file)
        except UnreadableError as error:
            said = f"examples of a docstring name an SDK and cannot be parsed: {error}"
            yield Finding(self.id, use.line, "warning", said, "change them by hand", blocks=True)
            return
        found = list(self.check(examples.file, project))
        if any(isinstance(item, Edit) for item in found):
            # The calls of an example must reach what it patches.
            found += [item for item in Imports().check(examples.file, project) if isinstance(item, Edit)]
        yield from map(examples.placed, found)

    def _by_hand(self, use: StringUse, names: Names, reason: str) -> Finding:
        package = names.roots[_root_of(use, names)].package
        return self._stays(use, reason, f"name {package} by hand")

    def _stays(self, use: StringUse, reason: str, step: str) -> Finding:
        said = f"`{_in_short(use.value)}` stays on the original: {reason}"
        blocks = not step.startswith("nothing to do")
        return Finding(self.id, use.line, "warning", said, step, blocks)


def _word_at(data: bytes, start: int) -> str:
    word = _WORD.match(data, start)
    return word[0].decode() if word else ""


def _root_of(use: StringUse, names: Names) -> str:
    """Return the root with which *use* begins; one in what is made of it; else nothing."""
    first = re.split("[.:]", use.value, maxsplit=1)[0]
    found = [first, *(one for text in _texts(use) for one in _NAMED.findall(text))]
    return next((one for one in found if one in names.roots), "")


def _in_short(text: str) -> str:
    """Return *text*, which may be a table of names, as a line that fits into a message."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def _texts(use: StringUse) -> tuple[str, ...]:
    return (*use.built, *(call.text for call in use.reached))


def _may_name(call: Reached, names: Names) -> bool:
    """Return whether the text that *call* gets names something of an SDK, or begins with the name of one."""
    if not call.is_whole:
        return any(one in names.roots for one in _NAMED.findall(call.text))
    return (
        _DOTTED.fullmatch(call.text) is not None and re.split("[.:]", call.text, maxsplit=1)[0] in names.roots
    )


def moved_patch_target(target: str, names: Names) -> str:
    """Return where a patch of *target* must land once the code under test is rewritten: *target* itself if it stays."""
    root = target.partition(".")[0]
    if root not in names.roots or not _DOTTED.fullmatch(target):
        return target
    use = StringUse(target, 0, 0, "patch", 0, "argument", "")
    edits = [item for item in Strings().use(use, names, Holders(None)) if isinstance(item, Edit)]
    return splice(target.encode(), edits).decode()
