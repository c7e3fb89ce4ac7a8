"""The values that rules yield for a file, and the outcome for the file."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["note", "warning", "error"]
Status = Literal["clean", "changed", "failed"]


class Edit(NamedTuple):
    """Replace the bytes from *start* up to *end* by *new*, on behalf of *rule*."""

    start: int
    end: int
    new: bytes
    rule: str


class Finding(NamedTuple):
    """A place that a rule found and left alone.

    `note`: it may well be right as it is. `warning`: it keeps a call on the original SDK, is not served, or is left to
    be changed by hand. `error`: it must be resolved first, since the result could not be installed, or the rule itself
    failed.

    Attributes:
        blocks: Whether the move is incomplete until the place is changed by hand: the program could not be installed or
            started, or a part of it, or a test, would be left on the original. `capa migrate check` exits with 1. False
            for a place that works on the original as before, and for one that the adapter does not serve.
    """

    rule: str
    line: int
    level: Level
    message: str
    next_step: str
    blocks: bool = False


class Setting(NamedTuple):
    """A setting that a rule needs in the tree's capa.toml, because of *line* of the file that it was given.

    Attributes:
        table: The path of the table, such as `("state", "cache")`.
        values: Its keys and values. A list is added to the present list. Where any other value differs from the present
            one, the table is about something else: nothing is written, and a finding reports it.
        unless_present: Whether a table of that path serves as well, whatever its values are: it stays as it is.
    """

    rule: str
    line: int
    table: tuple[str, ...]
    values: tuple[tuple[str, object], ...] = ()
    unless_present: bool = False


class Change(NamedTuple):
    """One edit as a reader sees it: the lines it touches, before and after."""

    rule: str
    line: int
    before: str
    after: str


class Outcome(NamedTuple):
    """The outcome for one file.

    Attributes:
        path: Relative to the root of the tree, with forward slashes.
        digests: SHA-256 of the bytes that were read and of the bytes that were proven; empty unless changed. The
            first is empty for a file that is to be made.
        reason: Why it failed, else empty.
        line: Where it failed, 0 if the place is not known.
        settings: The settings that capa.toml needs because of this file.
    """

    path: str
    status: Status
    edits: tuple[Edit, ...] = ()
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()
    digests: tuple[str, str] = ("", "")
    reason: str = ""
    line: int = 0
    next_step: str = ""
    settings: tuple[Setting, ...] = ()

    @property
    def counts_on_settings(self) -> bool:
        """Whether it is changed by a rule that needs a setting in capa.toml for it."""
        return not {edit.rule for edit in self.edits}.isdisjoint(one.rule for one in self.settings)
