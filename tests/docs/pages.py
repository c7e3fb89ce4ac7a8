"""Pages of the documentation, cut into their fenced blocks.

An HTML comment on the line before a block says how it is run; readers of the page do not see it:

    <!-- in: sample -->                    in the folder that this fixture gives; so are the blocks that follow
    <!-- until:  ready. -->                the command is stopped when it has printed this
    <!-- answers: y n -->                  what is typed, a line for each word
    <!-- not run: needs two machines -->   the reason why not
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*/*.md"))]
RUN = {"python", "shell", "toml"}
SHOWN = {"diff", "text", "yaml"}
NOTES = {"in", "until", "answers", "not run"}

_FENCE = re.compile(r"^```(.*)$")
_NOTE = re.compile(r"^<!-- ([a-z ]+): ?(.*) -->$")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        line: The line of the page on which its text begins, from 1.
        notes: The comments before it, by their first words.
    """

    page: Path
    line: int
    language: str
    text: str
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The page and the line, as an editor opens them."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is the content of: a comment in its first line names it."""
        named = re.match(r"# ([\w./-]+\.\w+)\n", self.text)
        return named.group(1) if named else None


def blocks(page: Path) -> Iterator[Block]:
    """Yield the fenced blocks of *page* in their order."""
    lines = page.read_text("utf-8").splitlines()
    notes: dict[str, str] = {}
    opened: tuple[int, str] | None = None
    for number, line in enumerate(lines):
        fence, note = _FENCE.match(line), _NOTE.match(line)
        if opened and line == "```":
            start, language = opened
            yield Block(page, start + 2, language, "\n".join([*lines[start + 1 : number], ""]), notes)
            opened, notes = None, {}
        elif fence and not opened:
            opened = number, fence.group(1)
        elif note and not opened:
            notes = notes | {note.group(1): note.group(2)}
    assert not opened, f"{page}: the block that begins with line {opened[0] + 1} has no end"


def indented(page: Path) -> list[str]:
    """Return the lines that Markdown shows as code because they are indented: nothing runs them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"(?<=\n\n)    \S.*", prose)


def commands(text: str) -> list[str]:
    """Return the commands of a shell block: a line each, without the comment at its end."""
    lines = (re.sub(r"(^|\s{2,})#.*$", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
