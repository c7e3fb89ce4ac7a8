"""Read Python that is newer than the running interpreter, with LibCST.

`ast` knows the grammar of the interpreter that runs it. LibCST brings its own parser. It runs in a separate process and
answers with the facts that a `PythonFile` needs: import statements and strings, with their places.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from capa_codemods.read.facts import ImportedName, ImportStatement, StringUse
from capa_codemods.read.libcst_process import ask_libcst

if TYPE_CHECKING:
    import libcst as cst


def read_newer(data: bytes) -> tuple[list[ImportStatement], list[StringUse]] | None:
    """Return the import statements and the strings of *data*; None if LibCST cannot read it either."""
    found = ask_libcst(__name__, {"source": data.decode("latin-1")})
    if found is None:
        return None
    imports = [_statement(item) for item in found["imports"]]
    return imports, [StringUse(*item) for item in found["strings"]]


def same_but_for(old: bytes, new: bytes) -> bool:
    """Return whether *old* and *new* are the same tree, import statements and strings aside."""
    found = ask_libcst(__name__, {"source": old.decode("latin-1"), "other": new.decode("latin-1")})
    return found is not None and bool(found["same"])


def _statement(item: list[Any]) -> ImportStatement:
    *places, names = item
    return ImportStatement._make([*places, tuple(ImportedName(*name) for name in names)])


def answer(question: dict[str, str]) -> dict[str, Any]:
    """Return, in LibCST's own process, the facts about one source, or whether two are the same but for names."""
    import libcst as cst

    module = cst.parse_module(question["source"].encode("latin-1"))
    if "other" in question:
        other = cst.parse_module(question["other"].encode("latin-1"))
        return {"same": _skeleton(module) == _skeleton(other)}
    return _facts(module, 3 if question["source"].startswith("\xef\xbb\xbf") else 0)


def _facts(module: cst.Module, shift: int) -> dict[str, Any]:
    import libcst as cst
    from libcst.metadata import (
        ByteSpanPositionProvider,
        MetadataWrapper,
        ParentNodeProvider,
        PositionProvider,
    )

    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    lines = wrapper.resolve(PositionProvider)
    parents = wrapper.resolve(ParentNodeProvider)

    def span(node: cst.CSTNode) -> tuple[int, int]:
        return spans[node].start + shift, spans[node].start + shift + spans[node].length

    imports, strings = [], []
    for node in spans:
        if isinstance(node, (cst.Import, cst.ImportFrom)):
            imports.append(_import(node, span))
        elif isinstance(node, cst.SimpleString):
            strings.append([*_string(node, span(node)[0], lines[node].start.line), *_use(node, parents)])
    return {"imports": sorted(imports), "strings": sorted(strings, key=lambda item: (item[2], item[1]))}


def _import(node: cst.Import | cst.ImportFrom, span: Any) -> list[Any]:
    import libcst as cst

    names = [] if isinstance(node.names, cst.ImportStar) else [_alias(alias, span) for alias in node.names]
    if isinstance(node, cst.Import):
        return [*span(node), 0, False, None, 0, 0, names]
    module = _dotted(node.module) if node.module else None
    star = [["*", None, *span(node.names)]] if isinstance(node.names, cst.ImportStar) else names
    place = span(node.module) if node.module and not node.relative else (0, 0)
    return [*span(node), len(node.relative), True, module, *place, star]


def _alias(alias: cst.ImportAlias, span: Any) -> list[Any]:
    asname = alias.asname.name.value if alias.asname else None  # type: ignore[union-attr]
    return [_dotted(alias.name), asname, *span(alias.name)]


def _string(node: cst.SimpleString, start: int, line: int) -> list[Any]:
    value = node.evaluated_value
    is_plain = isinstance(value, str) and value == node.raw_value
    return [
        value if isinstance(value, str) else "",
        start + len(node.prefix) + len(node.quote) if is_plain else -1,
        line,
    ]


def _use(node: cst.SimpleString, parents: Any) -> list[Any]:
    import libcst as cst

    argument = parents[node]
    call = parents[argument] if isinstance(argument, cst.Arg) else None
    if not isinstance(call, cst.Call):
        return ["", 0, "value", ""]
    callee = _dotted(call.func)
    keywords = {one.keyword.value for one in call.args if one.keyword}
    if callee.endswith("__import__") and (len(call.args) > 4 or "level" in keywords):
        return ["", 0, "value", ""]  # it may look in the package of the file
    position = argument.keyword.value if argument.keyword else call.args.index(argument)
    return [callee, position, "argument", ""]


def _dotted(node: cst.CSTNode) -> str:
    import libcst as cst

    parts = []
    while isinstance(node, cst.Attribute):
        parts.append(node.attr.value)
        node = node.value
    parts.append(node.value if isinstance(node, cst.Name) else "")
    return ".".join(reversed(parts))


def _skeleton(module: cst.Module) -> str:
    """Return the text of *module* without its import statements, and with every string empty."""
    import libcst as cst

    class Remover(cst.CSTTransformer):
        def leave_SimpleString(self, _: cst.SimpleString, updated: cst.SimpleString) -> cst.SimpleString:  # noqa: N802
            return updated.with_changes(value="''")

        def leave_Import(self, *_: Any) -> cst.Pass:  # noqa: N802
            return cst.Pass()

        def leave_ImportFrom(self, *_: Any) -> cst.Pass:  # noqa: N802
            return cst.Pass()

    # An import may have become several, on its line or on lines of their own.
    lines = (
        re.sub(r"\bpass\b[; \t]*", "", line).rstrip("; \t")
        for line in module.visit(Remover()).code.splitlines()
    )
    return "\n".join(line for line in lines if line)
