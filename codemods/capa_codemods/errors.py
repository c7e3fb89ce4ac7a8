"""The errors of a rewrite, as one tree.

    CodemodError
    ├── ImportMapError   an adapter's import_map.toml is wrong
    ├── RuleError        a rule of another package cannot be used
    ├── RuleFailedError  a rule could not do its part for one file
    ├── UnreadableError  a file cannot be read as the kind that its name has
    ├── ConflictError    a file changed during the rewrite; it was left as it is
    ├── JournalError     the journal of a rewrite is missing, damaged or not to be trusted
    └── BusyError        another run is writing in the same tree

Every message names the fault, its place and the next step.
"""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], otherwise: str) -> str:
    """Return the end of a message about an unknown *word*: the name of *known* that is most like it, or *otherwise*."""
    import difflib

    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean `{near[0]}`?" if near else otherwise


def remedy_for(error: OSError) -> str:
    """Return the remedy for *error*, met in writing."""
    steps = {13: "allow writing there", 30: "mount it for writing", 28: "make room"}
    return steps.get(error.errno or 0, "correct that")


class CodemodError(Exception):
    """Root of the tree: `except CodemodError` catches all that the rewrite raises on purpose."""


class ImportMapError(CodemodError):
    """An `import_map.toml` breaks its format. Nothing was rewritten."""


class RuleError(CodemodError):
    """A rule that a package registers cannot be loaded, or is not a rule. No file was read because of it."""


class RuleFailedError(CodemodError):
    """A rule failed on one file, for the reason in the message. The edits of other rules are kept."""


class UnreadableError(CodemodError):
    """A file cannot be read as the kind that its name stands for. It was left unchanged.

    Attributes:
        line: Where, from 1; 0 if the place is not known.
        next_step: The step that the user can take.
    """

    def __init__(self, reason: str, *, line: int = 0, next_step: str) -> None:
        """Keep why the file cannot be read, and the next step."""
        super().__init__(reason)
        self.line = line
        self.next_step = next_step


class ConflictError(CodemodError):
    """A file has changed since it was read. It was left unchanged."""


class JournalError(CodemodError):
    """The journal of a tree cannot be used. No file was touched because of it."""


class BusyError(CodemodError):
    """Another run is writing in the same tree. Nothing was done."""
