"""What a rule says about a file, and what became of the file."""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["note", "warning"]
Status = Literal["clean", "changed", "failed"]


class Edit(NamedTuple):
    """Replace the bytes from *start* up to *end* by *new*, on behalf of *rule*."""

    start: int
    end: int
    new: bytes
    rule: str


class Finding(NamedTuple):
    """Something a rule saw and left alone.

    `note` is for what may well be right as it is; `warning` for what will keep a call on the original SDK.
    """

    rule: str
    line: int
    level: Level
    message: str
    next_step: str


class Change(NamedTuple):
    """One edit as a reader sees it: the lines it touches, before and after."""

    rule: str
    line: int
    before: str
    after: str


class Outcome(NamedTuple):
    """What became of one file.

    Attributes:
        path: Relative to the root of the tree, with forward slashes.
        digests: SHA-256 of the bytes that were read and of the bytes that were proven; empty unless changed.
        reason: Why it failed, else empty.
        line: Where it failed, 0 if the place is not known.
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
