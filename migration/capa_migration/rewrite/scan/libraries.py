"""Libraries around the SDKs: mocks, plug-ins and instrumentation, and the effect of the rewrite on each.

The verdicts are data: one file for each SDK in the folder `companions`; `everywhere` holds the libraries that act on
the whole process.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple, get_args

from capa_codemods.api import Project, normalized_name, spellings_pattern
from capa_migration.rewrite.scan.import_index import ImportText

Verdict = Literal["works", "limits", "blind", "untried", "untouched"]
# An application of Django in quotes.
_QUOTED = re.compile(rb"[\"'](django_\w+)[\"'.:]")
_UNTOUCHED = "it works on the original, whose calls are not moved: there is no adapter yet"


class Library(NamedTuple):
    """One library, as the data describes it.

    Attributes:
        sdk: The SDK that it extends; `everywhere` if it acts on the whole process.
        kind: `mock`, `plugin`, `instrumentation`, `patch` or `service`.
        verdict: `works` and `limits` only if it was run; `blind` if it no longer serves its purpose; `untouched` if its
            SDK is not moved.
        says: The effect of the rewrite on it.
        tried: The version that was run; empty if none was.
        concerns: The SDKs of the verdict: a project that uses none of them gets no message about the library.
    """

    name: str
    sdk: str
    kind: str
    verdict: Verdict
    says: str
    tried: str
    distributions: tuple[str, ...]
    modules: tuple[str, ...]
    concerns: tuple[str, ...]

    @property
    def id(self) -> str:
        """The ID of the verdict, for `capa explain`."""
        return f"library/{self.name}"


class Place(NamedTuple):
    """A place where a library is required, imported or named."""

    path: str
    line: int


class Companion(NamedTuple):
    """A library that a project uses, with its places."""

    library: Library
    places: tuple[Place, ...]

    @property
    def summary(self) -> str:
        """The effect of the rewrite on the library, in one line."""
        one = self.library
        tried = f" (tried with {one.tried})" if one.tried else ""
        return f"{one.name} ({one.kind}): {one.verdict}: {one.says}{tried}"


@cache
def libraries() -> tuple[Library, ...]:
    """Return all known libraries, in the order of the data."""
    folder = files(__package__).joinpath("companions")
    found: list[Library] = []
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        sdk = file.name.removesuffix(".toml")
        found += [_library(sdk, entry) for entry in tomllib.loads(file.read_text("utf-8"))["library"]]
    return tuple(found)


def _library(sdk: str, entry: dict[str, Any]) -> Library:
    verdict = entry["verdict"]
    assert verdict in get_args(Verdict)  # noqa: S101 - the data is ours
    return Library(
        entry["name"],
        sdk,
        entry["kind"],
        verdict,
        entry.get("says", _UNTOUCHED),
        entry.get("tried", ""),
        tuple(entry.get("distributions", [entry["name"]])),
        tuple(entry["modules"]),
        tuple(entry.get("concerns", [sdk])),
    )


def imported(
    path: str, data: bytes, texts: Iterable[ImportText], project: Project
) -> tuple[tuple[str, int], ...]:
    """Return the modules of libraries that Python in the file at *path* names, each with its line.

    The Python is *data*, and *texts* are the import statements in it.
    """
    found: dict[str, int] = {}
    folder = path.rpartition("/")[0]
    for start, modules in sorted(_named(data, texts)):
        for module in modules:
            if module not in found and not project.own_module(module.partition(".")[0], folder):
                found[module] = data.count(b"\n", 0, start) + 1
    return tuple(found.items())


def _named(data: bytes, texts: Iterable[ImportText]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the modules of libraries that *data* imports or quotes, each list with its place."""
    for start, module, names in texts:
        modules = _modules_in(names if module is None else module)
        before = data[data.rfind(b"\n", 0, start) + 1 : start] if modules else b""
        if modules and not before.strip():  # else it may be in a string
            yield start, modules
    if b"django_" in data:
        for match in _QUOTED.finditer(data):
            if modules := _modules_in(match[1]):
                yield match.start(), modules


@lru_cache(maxsize=10_000)
def _modules_in(names: bytes) -> tuple[str, ...]:
    """Return the modules of known libraries that the list *names*, as it is written, is of or contains."""
    items = (item.split() for item in names.replace(b"\\", b" ").split(b","))
    found = (_module(words[0].decode(errors="replace")) for words in items if words)
    return tuple(module for module in found if module)


def _module(name: str) -> str | None:
    """Return the module of a known library that is or contains *name*."""
    while name and name not in _modules():
        name = name.rpartition(".")[0]
    return name or None


@cache
def _modules() -> frozenset[str]:
    return frozenset(module for one in libraries() for module in one.modules)


def required(project: Project) -> Iterator[tuple[str, Place]]:
    """Yield the distributions of libraries that the manifests of *project* name, each with its place."""
    # The project may be one of them itself.
    foreign = [
        one for one in libraries() if not any(project.own_module(module, "") for module in one.modules)
    ]
    names = [name for one in foreign for name in one.distributions]
    # A whole word in quotes, or at the beginning of a line or an item: neither a module in an import nor prose.
    pattern = re.compile(
        rf"(?:^[ \t]*(?:-[ \t]*)?|[\"'])({spellings_pattern(names).pattern})", re.IGNORECASE | re.MULTILINE
    )
    for manifest in project.manifests:
        text = project.text_of(manifest)
        for match in pattern.finditer(text):
            yield normalized_name(match[1]), Place(manifest, text.count("\n", 0, match.start(1)) + 1)


def companions(
    used: Iterable[str], named: Iterable[tuple[str, Place]], required_names: Iterable[tuple[str, Place]]
) -> tuple[Companion, ...]:
    """Return the libraries that a project uses with its SDKs.

    Args:
        used: The SDKs that the project uses.
        named: Modules that its files import, with places.
        required_names: Distributions that its manifests require, with places.
    """
    sdks = set(used)
    by_name: dict[str, list[Place]] = {}
    for name, place in (*required_names, *named):
        by_name.setdefault(name, []).append(place)
    found = []
    for one in libraries():
        spelt = {*map(normalized_name, one.distributions), *one.modules}
        places = [place for name in sorted(spelt) for place in by_name.get(name, ())]
        if places and not sdks.isdisjoint(one.concerns):
            found.append(Companion(one, tuple(sorted(set(places)))))
    return tuple(found)
