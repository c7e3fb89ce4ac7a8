"""Results of a scan: call sites, and their sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple

from capa_codemods.api import Support, reason_id
from capa_migration.rewrite.scan.commands import Command
from capa_migration.rewrite.scan.libraries import Companion

Kind = Literal["import", "call", "use", "patch"]


class Site(NamedTuple):
    """One place where a name of an SDK is imported, called, used, or patched by a test.

    Attributes:
        line: Of the file; in a notebook of its JSON, as in messages of the rewrite.
        name: The old dotted name; `()` is the result of a call: `requests.Session().get`.
        arguments: Of a call: `*` for each positional argument, then the keywords.
        support: How well Capa serves exactly this.
        reason: The reason if it is not `full`.
        see: The section of docs/differences with the whole reason, as the import map links to it.
        instead: What to use in its place, as it follows "use"; empty if nothing is known.
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
    instead: str = ""

    @property
    def reason_id(self) -> str:
        """The ID of the reason, for `capa explain`; empty where the support is full."""
        if self.support == "full":
            return ""
        return reason_id(self.see) if self.see else {"none": "unserved", "partial": "partial"}[self.support]


def replacements(sites: Iterable[Site]) -> dict[str, str]:
    """Return the names among *sites* for which something else is to be used, each with that, in alphabetical order."""
    return {site.name: site.instead for site in sorted(sites) if site.instead and site.support == "none"}


class Unread(NamedTuple):
    """A file, or a cell of a notebook, that names an SDK and cannot be read."""

    path: str
    line: int
    reason: str
    next_step: str


class Uncertain(NamedTuple):
    """An import that looks like one of an SDK, and is not certain to be one."""

    path: str
    line: int
    name: str
    reason: str
    next_step: str


class Exclusion(NamedTuple):
    """A place that excludes Capa, as *rule* tells it: a pin in a manifest, or an import whose adapter is hidden."""

    path: str
    line: int
    rule: str
    reason: str
    next_step: str


class Survey(NamedTuple):
    """The results of a scan of one tree.

    Attributes:
        seen: Number of files with Python, notebooks included.
        moved: Call sites that use an adapter already, under their old names.
        companions: Libraries around the SDKs, and the effect of the rewrite on each.
        uncertain: Imports that look like those of an SDK, and are not certain to be some.
        bring: The next step, as a sentence, for what the rewrite of each SDK leaves behind.
        excluding: Pins that exclude Capa, so that no environment can have both, and imports that would not find their
            adapter, since a module of the tree hides it.
        passed_over: Reason → number of files that were not looked at.
    """

    root: str
    seen: int
    sites: tuple[Site, ...]
    unread: tuple[Unread, ...]
    commands: tuple[Command, ...] = ()
    moved: tuple[Site, ...] = ()
    companions: tuple[Companion, ...] = ()
    bring: tuple[str, ...] = ()
    uncertain: tuple[Uncertain, ...] = ()
    passed_over: Mapping[str, int] = MappingProxyType({})
    excluding: tuple[Exclusion, ...] = ()


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
    """Return one line of numbers for each SDK, most used first.

    Of the *moved* sites, `moved` counts those that are served, and `none` the others: they still have to be replaced.
    """
    by_sdk: dict[str, list[Site]] = {}
    for site in sites:
        by_sdk.setdefault(site.sdk, []).append(site)
    gone, unserved = (Counter(site.sdk for site in part) for part in parted(moved))
    lines = [
        _sum(sdk, by_sdk.get(sdk, ()), unserved[sdk])._replace(moved=gone[sdk])
        for sdk in {*by_sdk, *gone, *unserved}
    ]
    return sorted(lines, key=lambda line: (-line.full - line.partial - line.none, line.sdk))


def parted(moved: Iterable[Site]) -> tuple[list[Site], list[Site]]:
    """Return the *moved* sites that are served, and those that are not: these have moved to something that raises."""
    listed = list(moved)
    return (
        [site for site in listed if site.support != "none"],
        [site for site in listed if site.support == "none"],
    )


def total(survey: Survey) -> Sums:
    """Return the numbers of all SDKs of *survey* together, each file counted once, as `sums` counts them."""
    served, unserved = parted(survey.moved)
    return _sum("", survey.sites, len(unserved))._replace(moved=len(served))


def added(name: str, lines: Iterable[Sums]) -> Sums:
    """Return the sum of *lines*, under *name*."""
    columns = zip(*(line[1:] for line in lines), strict=True)
    return Sums(name, *map(sum, columns))


def shapes(sites: Iterable[Site]) -> Counter[tuple[str, str]]:
    """Count how often each name is called or used, by SDK and name."""
    return Counter((site.sdk, site.name) for site in sites if site.kind != "import")


def _sum(sdk: str, sites: Sequence[Site], unserved: int) -> Sums:
    support = Counter(site.support for site in sites)
    kinds = Counter(site.kind for site in sites)
    files = len({site.path for site in sites})
    uses = kinds["call"] + kinds["use"] + kinds["patch"]
    return Sums(
        sdk, files, kinds["import"], uses, support["full"], support["partial"], support["none"] + unserved
    )
