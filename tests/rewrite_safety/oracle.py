"""Judge a rewritten Python file by itself: all of it, and by other means than the rewrite's own proof.

Both files are parsed whole. Neighbouring import statements become what they load and what they bind to which full
name; in the new file, names that an import map moves are moved back. Everything else must be the same, node by node;
a string may differ where moving names back makes it the same.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from capa_codemods.findings import Edit

_IMPORTS = (ast.Import, ast.ImportFrom)
_Fact = tuple[str, tuple[str, str] | None]


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        # Python 3.12 and later warn of unknown escapes in other people's strings.
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.parse(source)


class _Imports(NamedTuple):
    """Import statements that follow each other: the modules that they load, and the meaning of each name afterwards."""

    loads: frozenset[str]
    binds: tuple[tuple[str, str], ...]


class Oracle:
    """Knows which new names stand for which old ones."""

    def __init__(self, moved: Mapping[str, str]) -> None:
        """Take the moves: old full name → new full name."""
        self._old = {new: old for old, new in moved.items()}
        self._roots = {new.partition(".")[0] for new in self._old} - {old.partition(".")[0] for old in moved}
        longest_first = sorted(self._old, key=len, reverse=True)
        self._anywhere = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")

    def difference(self, old: bytes, new: bytes) -> str:
        """Return where the two files are not the same program, or nothing."""
        queue: list[tuple[object, object]] = [(_parsed(old), _parsed(new))]
        while queue:
            one, other = queue.pop()
            if isinstance(one, ast.Constant) and isinstance(other, ast.Constant):
                if not self._same_constant(one, other):
                    return f"{one.value!r} became {other.value!r}"
            elif isinstance(one, ast.AST) and type(one) is type(other):
                queue += [(getattr(one, field, None), getattr(other, field, None)) for field in one._fields]
            elif isinstance(one, list) and isinstance(other, list):
                ones, others = list(self._grouped(one, is_new=False)), list(self._grouped(other, is_new=True))
                if len(ones) != len(others):
                    return f"{ones} became {others}"
                queue += zip(ones, others, strict=True)
            elif type(one) is not type(other) or repr(one) != repr(other):
                return f"{one} became {other}"
        return ""

    def _same_constant(self, old: ast.Constant, new: ast.Constant) -> bool:
        value = new.value
        if isinstance(value, str) and value != old.value:
            value = self._anywhere.sub(lambda found: self._old[found[0]], value)
        return (repr(value), type(value), new.kind) == (repr(old.value), type(old.value), old.kind)

    def _grouped(self, nodes: list[object], *, is_new: bool) -> Iterator[object]:
        """Yield *nodes*, import statements that follow each other as one."""
        loads: set[str] = set()
        binds: list[tuple[str, str]] = []
        for node in nodes:
            if isinstance(node, _IMPORTS):
                for load, bind in self._facts(node, is_new=is_new):
                    loads.update(_with_parents(load))
                    binds += [bind] if bind else []
                continue
            if loads:
                yield _Imports(frozenset(loads), tuple(_without_repeats(binds)))
                loads, binds = set(), []
            yield node
        if loads:
            yield _Imports(frozenset(loads), tuple(_without_repeats(binds)))

    def _facts(
        self, node: ast.Import | ast.ImportFrom, *, is_new: bool
    ) -> Iterator[tuple[str, tuple[str, str] | None]]:
        """Yield for each name of *node* the module that it loads and the name that it binds, under old names."""
        back = self._back if is_new else str
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                full = back(f"{module}.{alias.name}")
                # A name that has moved alone is found where it was; else the module is what has moved.
                load = full.rpartition(".")[0] if full != f"{module}.{alias.name}" else back(module)
                yield load, (alias.asname or alias.name, full)
            elif alias.asname:
                yield back(alias.name), (alias.asname, back(alias.name))
            else:
                root = alias.name.partition(".")[0]
                # `import capa_x.a` beside `import capa_x as x`: the old program cannot know the name `capa_x`.
                yield back(alias.name), (None if is_new and root in self._roots else (root, root))

    def _back(self, name: str) -> str:
        """Return *name* as it was before."""
        head, rest = name, ""
        while head not in self._old:
            head, dot, last = head.rpartition(".")
            if not dot:
                return name
            rest = f".{last}{rest}"
        return self._old[head] + rest


def is_outside_kept(old: bytes, new: bytes, edits: Sequence[Edit]) -> bool:
    """Return whether *new* has every byte of *old* outside the edits, and nothing else but the edits."""
    at_old = at_new = 0
    for edit in sorted(edits):
        gap = edit.start - at_old
        if old[at_old : edit.start] != new[at_new : at_new + gap]:
            return False
        at_old, at_new = edit.end, at_new + gap
        if new[at_new : at_new + len(edit.new)] != edit.new:
            return False
        at_new += len(edit.new)
    return old[at_old:] == new[at_new:]


def _without_repeats(binds: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield *binds* without those that bind a name again to what it is bound to, with nothing in between."""
    held: dict[str, str] = {}
    for name, full in binds:
        if name == "*":
            held.clear()  # it may bind any name
        if held.get(name) != full:
            yield name, full
        held[name] = full


def _with_parents(module: str) -> Iterator[str]:
    while module.strip("."):
        yield module
        module = module.rpartition(".")[0]
