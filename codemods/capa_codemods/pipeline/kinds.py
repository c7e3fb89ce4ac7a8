"""One rewrite of a file that was read as several kinds of document: setup.py is Python and a manifest."""

from __future__ import annotations

from collections.abc import Sequence

from capa_codemods.errors import UnreadableError
from capa_codemods.file_rewrite import FileRewrite, RuleResult
from capa_codemods.findings import Edit
from capa_codemods.proof import flaw_of
from capa_codemods.sdks.names import Names
from capa_codemods.write.splice import Shift


def joined(rewrites: Sequence[FileRewrite], names: Names) -> FileRewrite:
    """Return *rewrites* of one file, each proven by itself, as one.

    Where several change the file, each is proven once more on top of those before it, as its own kind of document.
    """
    if len(rewrites) == 1:
        return rewrites[0]
    changed = [one for one in rewrites if one.edits]
    flawed = next((one for one in rewrites if one.flaw is not None), None)
    main = flawed or changed[0] if changed else flawed or rewrites[0]
    if flawed is None:
        for one in changed[1:]:
            main = _on_top(main, one, names) if main.flaw is None else main
    return main._replace(results=tuple(result for one in rewrites for result in one.results))


def _on_top(first: FileRewrite, second: FileRewrite, names: Names) -> FileRewrite:
    together = FileRewrite.of(first.file, [*first.results, *second.results])
    if together.flaw is not None:
        return together
    shift = Shift(first.edits)
    try:
        between = type(second.file)(second.file.path, first.after)
    except UnreadableError as error:
        return first._replace(flaw=str(error))
    moved = FileRewrite.of(between, [_moved(result, shift) for result in second.results])
    flaw = moved.flaw or flaw_of(moved, names)
    if flaw is None and moved.after != together.after:
        flaw = "its parts do not fit together"
    return together._replace(flaw=flaw)


def _moved(result: RuleResult, shift: Shift) -> RuleResult:
    return result._replace(edits=tuple(_moved_edit(edit, shift) for edit in result.edits))


def _moved_edit(edit: Edit, shift: Shift) -> Edit:
    start = shift.of(edit.start)
    return edit._replace(start=start, end=start + edit.end - edit.start)
