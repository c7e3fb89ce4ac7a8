"""Results of a scan: call sites, and their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from capa_codemods.api import Support, reason_id
from capa_migration.rewrite.scan.commands import Command
from capa_migration.rewrite.scan.libraries import Companion

Kind = Literal["import", "call", "use"]


class Site(NamedTuple):
    """One place where a name of an SDK is imported, called or used.

    Attributes:
        line: Of the file; in a notebook of its JSON, as in messages of the rewrite.
        name: The old dotted name; `()` is the result of a call: `requests.Session().get`.
        arguments: Of a call: `*` for each positional argument, then the keywords.
        support: How well Capa serves exactly this.
        reason: The reason if it is not `full`.
        see: The section of docs/differences with the whole reason, as the import map links to it.
    """

    path: str
    line: int
    sdk: str
    kind: Kind
    name: str
    arguments: tuple[str, ...]
    support: Support
    reason: str = ""
    see: str = ""

    @property
    def reason_id(self) -> str:
        """The ID of the reason, for `capa explain`; empty where the support is full."""
        if self.support == "full":
            return ""
        return reason_id(self.see) if self.see else {"none": "unserved", "partial": "partial"}[self.support]


class Unread(NamedTuple):
    """A file, or a cell of a notebook, that names an SDK and cannot be read."""

    path: str
    line: int
    reason: str
    next_step: str


class Survey(NamedTuple):
    """The results of a scan of one tree.

    Attributes:
        seen: Number of files with Python, notebooks included.
        moved: Call sites that use an adapter already, under their old names.
        companions: Libraries around the SDKs, and the effect of the rewrite on each.
    """

    root: str
    seen: int
    sites: tuple[Site, ...]
    unread: tuple[Unread, ...]
    commands: tuple[Command, ...] = ()
    moved: tuple[Site, ...] = ()
    companions: tuple[Companion, ...] = ()


class Sums(NamedTuple):
    """One SDK in numbers."""

    sdk: str
    files: int
    imports: int
    calls: int
    full: int
    partial: int
    none: int
    moved: int = 0


def sums(sites: Iterable[Site], moved: Iterable[Site] = ()) -> list[Sums]:
    """Return one line of numbers for each SDK, most used first; only `moved` counts what has *moved*."""
    by_sdk: dict[str, list[Site]] = {}
    for site in sites:
        by_sdk.setdefault(site.sdk, []).append(site)
    gone = Counter(site.sdk for site in moved)
    lines = [_sum(sdk, by_sdk.get(sdk, ()))._replace(moved=gone[sdk]) for sdk in {*by_sdk, *gone}]
    return sorted(lines, key=lambda line: (-line.full - line.partial - line.none, line.sdk))


def shapes(sites: Iterable[Site]) -> Counter[tuple[str, str]]:
    """Count how often each name is called or used, by SDK and name."""
    return Counter((site.sdk, site.name) for site in sites if site.kind != "import")


def _sum(sdk: str, sites: Sequence[Site]) -> Sums:
    support = Counter(site.support for site in sites)
    kinds = Counter(site.kind for site in sites)
    files = len({site.path for site in sites})
    uses = kinds["call"] + kinds["use"]
    return Sums(sdk, files, kinds["import"], uses, support["full"], support["partial"], support["none"])
