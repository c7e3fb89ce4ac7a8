"""All kinds of files as a rule sees them: bytes, lines, and comments that keep rules away."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Change, Edit, Finding, Setting
from capa_codemods.limits import LARGEST_BYTES
from capa_codemods.sdks.names import Names

if TYPE_CHECKING:
    from capa_codemods.read.logical_lines import LogicalLines

_IGNORE = re.compile(rb"#\s*capa:\s*ignore(?:\[([^\]]*)\])?")


class Document(ABC):
    """One file as the rules see it.

    Attributes:
        path: Relative to the root of the tree, with forward slashes.
        data: The bytes on disk. Edits are offsets into them.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    """Endings of the names of such files; files with other endings are not read."""

    is_python: ClassVar[bool] = False
    """Whether it consists of Python's statements, which may run over several lines."""

    reads_scripts: ClassVar[bool] = False
    """Whether files of other names are read too if their first line says that they are scripts in Python."""

    names_sdk: ClassVar[bool] = False
    """Whether each file with one of the suffixes is of this kind, and concerns a rule only if it holds the name of an
    SDK somewhere: most files need no further look then."""

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data* as this kind of file.

        Raises:
            UnreadableError: It is not such a file, or too large.
        """
        if len(data) > LARGEST_BYTES:
            raise UnreadableError(
                f"the file has {len(data) // 1024 // 1024} MB, which is more than is parsed",
                next_step="change it by hand, split it, or leave it out with --exclude",
            )
        self.path = path
        self.data = data
        self.line_starts = starts_of_lines(data)
        self._has_ignores = b"capa:" in data

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether a file of this name is of this kind: unless a kind overrides this, by its ending."""
        return path.endswith(cls.suffixes)

    @classmethod
    @abstractmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return cheaply whether a rule could yield anything. It must not miss a file, and may accept too many."""

    def line_of(self, offset: int) -> int:
        """Return the line, from 1, that holds the byte at *offset*."""
        return bisect_right(self.line_starts, offset)

    def line_text(self, line: int) -> bytes:
        """Return line number *line*, from 1, without its end."""
        start = self.line_starts[line - 1]
        end = self.line_starts[line] if line < len(self.line_starts) else len(self.data)
        return self.data[start:end].rstrip(b"\r\n")

    def line_of_item(self, item: Edit | Finding | Setting) -> int:
        """Return the line, from 1, that *item* is about; of an edit, its first."""
        return self.line_of(item.start) if isinstance(item, Edit) else item.line

    def ignores(self, line: int, rule: str) -> bool:
        """Return whether a comment, `# capa: ignore` or `# capa: ignore[rule]`, keeps *rule* from *line*.

        It stands on *line* itself, or on the first or the last line of the statement around it.
        """
        if not self._has_ignores:
            return False
        longer = self._logical_lines.longer if self._logical_lines else {}
        return any(self._is_marked(one, rule) for one in {line, *longer.get(line, ())})

    @property
    def ignoring(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield each line with a comment that keeps rules away, and their names; no names where it is all rules."""
        for line in range(1, len(self.line_starts) + 1) if self._has_ignores else ():
            names = ignored_rules(self._comment(line))
            if names is not None:
                yield line, names

    @cached_property
    def _logical_lines(self) -> LogicalLines | None:
        if not self.is_python:
            return None
        # Few files need them.
        from capa_codemods.read.logical_lines import logical_lines

        return logical_lines(self.data)

    def _is_marked(self, line: int, rule: str) -> bool:
        return 0 < line <= len(self.line_starts) and line_ignores(self._comment(line), rule)

    def _comment(self, line: int) -> bytes:
        """Return the part of *line* that may be a comment: all of it where comments and strings look the same."""
        known = self._logical_lines
        return known.comments.get(line, b"") if known and line <= known.read else self.line_text(line)


class ComparedDocument(Document):
    """A kind of file whose rewrite is proven by reading the result again and comparing the data of the two."""

    @abstractmethod
    def flaw(self, new: bytes, names: Names) -> str | None:
        """Return how *new* differs from `data` in more than moved names; None if it does not.

        Raises:
            UnreadableError: *new* is not a document of this kind.
        """


def line_ignores(line: bytes, rule: str) -> bool:
    """Return whether a comment to Capa in *line* keeps all rules or *rule* away."""
    names = ignored_rules(line)
    return names is not None and (not names or rule in names)


def ignored_rules(line: bytes) -> tuple[str, ...] | None:
    """Return the names in a comment in *line* that keeps rules away; none if it is all; None if there is no comment."""
    found = _IGNORE.search(line)
    if found is None:
        return None
    listed = found[1]
    return (
        () if listed is None else tuple(name.strip() for name in listed.decode(errors="replace").split(","))
    )


def starts_of_lines(data: bytes) -> list[int]:
    r"""Return where each line begins; `\n`, `\r\n` and a lone `\r` end a line, as Python's own reader has it."""
    starts = list(accumulate(map(len, data.splitlines(keepends=True)), initial=0))
    if data and not data.endswith((b"\n", b"\r")):
        starts.pop()  # the end of the last line, where none begins
    return starts


def decoded(data: bytes) -> str:
    """Return *data*, the content of a file that is UTF-8 by its format, as text.

    Raises:
        UnreadableError: It is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadableError("not UTF-8", line=line, next_step="save it in UTF-8 and run again") from error


def change_of(data: bytes, starts: Sequence[int], edit: Edit) -> Change:
    """Return *edit* of *data*, whose lines begin at *starts*, as a reader sees it."""
    first, last = bisect_right(starts, edit.start), bisect_right(starts, max(edit.start, edit.end - 1))
    start = starts[first - 1]
    end = starts[last] if last < len(starts) else len(data)
    before = data[start:end]
    after = before[: edit.start - start] + edit.new + before[edit.end - start :]
    return Change(edit.rule, first, _shown(before), _shown(after))


def _shown(text: bytes) -> str:
    return text.decode(errors="replace").strip()
