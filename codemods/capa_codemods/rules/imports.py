"""Import statements: the path changes, the name that is bound does not.

    import requests                        →  import capa_requests as requests
    import requests.exceptions             →  import capa_requests.exceptions, capa_requests as requests
    import requests, requests.exceptions   →  import capa_requests as requests, capa_requests.exceptions
    import requests as r                   →  import capa_requests as r
    from celery import Celery, chain       →  from capa_celery import Celery, chain
    from celery import Celery, unserved    →  from capa_celery import Celery
                                              from celery import unserved

Left alone: relative imports, modules that the import map does not list, names that it lists as not served, roots
that are the user's own modules here, roots whose adapter is hidden by such a module (an error), and names whose place
in the bytes is ambiguous. Each is reported.

Safe because every use of the bound name stays unchanged: no scope is analysed, and the proof compares the bindings
of each statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project
from capa_codemods.read.facts import ImportedName, ImportStatement
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.sdks.import_map import NameLine, reason_id
from capa_codemods.sdks.names import Names, Target

_GAPS = re.compile(rb"[ \t\f]|\\(?:\r\n|\r|\n)")


class Imports(Rule[PythonFile]):
    """Move the imports of an SDK to its adapter, under the old names."""

    id = "imports"
    summary = "imports of an SDK come from its adapter, under the same names"
    reads = PythonFile
    is_local = True

    def check(self, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield an edit for each import that moves, and a finding for each that cannot."""
        statements = sorted(file.imports(project.names.sieve.imported(file.data)))
        bound = self._bound_before(statements, file, project)
        for statement in statements:
            if statement.level:
                continue
            if statement.is_from:
                yield from self._from(statement, file, project)
            else:
                for name in statement.names:
                    for item in self._plain(name, file, project):
                        yield _without_root(item) if name.start in bound else item

    def _bound_before(
        self, statements: Sequence[ImportStatement], file: PythonFile, project: Project
    ) -> set[int]:
        """Return the places of the names `a.b` whose root `a` an import right before has bound to the adapter."""
        found: set[int] = set()
        held: set[tuple[int, str]] = set()
        for statement in statements:
            for name in statement.names:
                key = (statement.run, name.asname or name.name.partition(".")[0])
                moves = not statement.is_from and self._keeps_root(name, file, project)
                if moves and "." in name.name and key in held:
                    found.add(name.start)
                elif moves:
                    held.add(key)
                else:
                    held.discard(key)
        return found

    def _keeps_root(self, name: ImportedName, file: PythonFile, project: Project) -> bool:
        """Return whether `import name` moves, and binds the root of *name* to the adapter."""
        is_edit = any(isinstance(item, Edit) for item in self._plain(name, file, project))
        return is_edit and name.asname is None and not file.ignores(file.line_of(name.start), self.id)

    def _plain(self, name: ImportedName, file: PythonFile, project: Project) -> Iterator[Edit | Finding]:
        root = name.name.partition(".")[0]
        if root not in project.names.roots:
            return
        line = file.line_of(name.start)
        if refused := project.refusal(root, file.path):
            yield self._refused([name.name], line, refused, file, project)
            return
        new = _plain_target(name, project.names)
        if new is None:
            yield self._unserved(name.name, line, project.names, rebinds=name.asname is None)
        elif _GAPS.sub(b"", file.data[name.start : name.end]) != name.name.encode():
            yield self._unreadable(name.name, line)
        else:
            yield Edit(name.start, name.end, new.encode(), self.id)

    def _from(
        self, statement: ImportStatement, file: PythonFile, project: Project
    ) -> Iterator[Edit | Finding]:
        module = statement.module or ""
        root = module.partition(".")[0]
        if root not in project.names.roots:
            return
        line = file.line_of(statement.start)
        if refused := project.refusal(root, file.path):
            named = [module, *(f"{module}.{name.name}" for name in statement.names)]
            yield self._refused(named, line, refused, file, project)
            return
        targets = [project.names.target_of(module, name.name) for name in statement.names]
        for name, target in zip(statement.names, targets, strict=True):
            if target.module == module:
                yield self._unserved(f"{module}.{name.name}", file.line_of(name.start), project.names)
        if all(target.module == module for target in targets):
            return
        spelt = _GAPS.sub(b"", file.data[statement.module_start : statement.module_end])
        if spelt != module.encode():
            yield self._unreadable(module, line)
            return
        yield self._moved(statement, targets, file)

    def _refused(
        self, named: list[str], line: int, refused: tuple[str, str], file: PythonFile, project: Project
    ) -> Finding:
        """Return the finding for an import that stays: a warning where it looks like the SDK, an error where it is."""
        if project.without_adapter(named[0].partition(".")[0], file.path):
            return Finding(self.id, line, "error", *refused)
        looks_like = next((one for one in named if project.uncertain(one, file.path)), None)
        if looks_like is None:
            return Finding(self.id, line, "note", *refused)
        return Finding(self.id, line, "warning", f"`{looks_like}` is not certain: {refused[0]}", refused[1])

    def _moved(self, statement: ImportStatement, targets: list[Target], file: PythonFile) -> Edit | Finding:
        is_same_name = all(
            target.name == name.name for target, name in zip(targets, statement.names, strict=True)
        )
        if is_same_name and len({target.module for target in targets}) == 1:
            return Edit(statement.module_start, statement.module_end, targets[0].module.encode(), self.id)
        text = file.data[statement.start : statement.end]
        if b"#" in text:
            return Finding(
                self.id,
                file.line_of(statement.start),
                "warning",
                f"`from {statement.module} import …` must become several imports, and has comments inside",
                "split the statement by hand and run again",
                blocks=True,
            )
        return Edit(statement.start, statement.end, _split(statement, targets, file), self.id)

    def _unserved(self, dotted: str, line: int, names: Names, *, rebinds: bool = False) -> Finding:
        known = names.nearest_line(dotted)
        owner = names.owner(dotted)
        package = owner.package if owner else "the adapter"
        reason = known.reason if known and known.support == "none" else f"{package} does not list it"
        if rebinds:
            reason += f"; from here on `{dotted.partition('.')[0]}` is the original"
        step = _step(dotted, known, names)
        return Finding(self.id, line, "warning", f"`{dotted}` stays on the original: {reason}", step)

    def _unreadable(self, dotted: str, line: int) -> Finding:
        return Finding(
            self.id,
            line,
            "warning",
            f"`{dotted}` is spelt in a way that cannot be edited",
            "change it by hand",
            blocks=True,
        )


def _step(dotted: str, known: NameLine | None, names: Names) -> str:
    """Return the next step for *dotted*, which stays on the original, and about which the map may have a line."""
    if known and known.see:
        return f"`capa explain {reason_id(known.see)}`"
    owner = names.owner(dotted)
    if known or owner is None or names.is_unserved(dotted):
        return "it keeps working, on the original SDK"
    versions = "" if owner.versions == "any" else f" {owner.versions}"
    return f"see that {owner.name}{versions} still has it: then it keeps working, on the original SDK"


def _plain_target(name: ImportedName, names: Names) -> str | None:
    """Return the new form of `import name` without its `as`, or None if the module is not served."""
    if name.asname:
        return names.modules.get(name.name)
    root = name.name.partition(".")[0]
    new_root = names.new_root(name.name)
    if new_root is None:
        return None
    bound = f"{new_root} as {root}"
    # `import a.b` binds `a`, and users write `a.b.c`.
    return bound if root == name.name else f"{names.modules[name.name]}, {bound}"


def _without_root(item: Edit | Finding) -> Edit | Finding:
    """Return *item* without the name that keeps the old root bound: `new.a, new as old` becomes `new.a`."""
    return item._replace(new=item.new.partition(b",")[0]) if isinstance(item, Edit) else item


def _split(statement: ImportStatement, targets: list[Target], file: PythonFile) -> bytes:
    parts = []
    pairs = list(zip(statement.names, targets, strict=True))
    for module, group in groupby(pairs, key=lambda pair: pair[1].module):
        listed = ", ".join(_listed(name, target) for name, target in group)
        parts.append(f"from {module} import {listed}".encode())
    if file.data.startswith(b"lazy", statement.start):
        parts = [b"lazy " + part for part in parts]
    # `;` is right wherever a statement may be; a separate line reads better where there is one.
    line = file.line_of(statement.start)
    before = file.data[file.line_starts[line - 1] : statement.start]
    is_alone = not before.strip() and not file.data[statement.end :].lstrip(b" \t").startswith(b";")
    return (_newline(file.data) + before if is_alone else b"; ").join(parts)


def _listed(name: ImportedName, target: Target) -> str:
    if name.asname is None and target.name == name.name:
        return name.name
    return f"{target.name} as {name.asname or name.name}"


def _newline(data: bytes) -> bytes:
    return b"\r\n" if b"\r\n" in data else b"\n"
