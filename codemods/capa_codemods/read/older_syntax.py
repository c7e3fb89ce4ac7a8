"""Read Python that is newer than the running interpreter as an older one would be written.

New spellings are left out or replaced: type parameters go, `type X = …` is an assignment, and if that is not enough,
f-strings become tuples of their parts. Good enough to follow calls; never written to a file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from capa_codemods.errors import UnreadableError
from capa_codemods.read.libcst_process import ask_libcst
from capa_codemods.read.syntax import parse

if TYPE_CHECKING:
    import libcst as cst


def tree_in_older_syntax(data: bytes) -> ast.Module | None:
    """Return a syntax tree with the names and calls of *data* on its lines; None if there is none."""
    for strings in (False, True):
        found = ask_libcst(__name__, {"source": data.decode("latin-1"), "strings": strings})
        source = found["source"].encode("latin-1") if found else b""
        if len(source.splitlines()) != len(data.splitlines()):
            continue
        try:
            return parse(source)
        except UnreadableError:
            continue
    return None


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return, in LibCST's own process, the older spelling of one source."""
    import libcst as cst

    module = cst.parse_module(question["source"].encode("latin-1"))
    tree_in_older_syntax = module.visit(_types())
    tree_in_older_syntax = (
        tree_in_older_syntax.visit(_strings()) if question["strings"] else tree_in_older_syntax
    )
    return {"source": tree_in_older_syntax.bytes.decode("latin-1")}


def _types() -> cst.CSTTransformer:
    import libcst as cst

    class Types(cst.CSTTransformer):
        def leave_FunctionDef(self, _: Any, updated: Any) -> Any:  # noqa: N802 - LibCST's name
            return updated.with_changes(type_parameters=None)

        def leave_ClassDef(self, _: Any, updated: Any) -> Any:  # noqa: N802 - as above
            return updated.with_changes(type_parameters=None)

        def leave_TypeAlias(self, _: Any, updated: Any) -> Any:  # noqa: N802 - as above
            return cst.Assign([cst.AssignTarget(updated.name)], updated.value)

    return Types()


def _strings() -> cst.CSTTransformer:
    import libcst as cst

    class Strings(cst.CSTTransformer):
        def leave_FormattedString(self, _: Any, updated: Any) -> Any:  # noqa: N802 - LibCST's name
            return _tuple(_held(updated.parts))

        def leave_TemplatedString(self, _: Any, updated: Any) -> Any:  # noqa: N802 - as above
            return _tuple(_held(updated.parts))

        def visit_ConcatenatedString(self, _: Any) -> bool:  # noqa: N802 - as above
            return False  # it may not hold tuples

        def leave_ConcatenatedString(self, _: Any, updated: Any) -> Any:  # noqa: N802 - as above
            parts = [one for string in _pieces(updated) for one in getattr(string, "parts", ())]
            return _tuple(one.visit(self) for one in _held(parts))

    return Strings()


def _pieces(node: Any) -> Iterator[Any]:
    while hasattr(node, "left"):
        yield node.left
        node = node.right
    yield node


def _held(parts: Iterable[Any]) -> Iterator[Any]:
    for part in parts:
        if hasattr(part, "expression"):
            yield part.expression
            yield from _held(part.format_spec or ())


def _tuple(values: Iterable[Any]) -> Any:
    import libcst as cst

    return cst.Tuple([cst.Element(value) for value in values])
