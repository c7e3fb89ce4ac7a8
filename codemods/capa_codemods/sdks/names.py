"""Old names and new names, over all import maps at once."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import NamedTuple

from capa_codemods.limits import LARGEST_BYTES
from capa_codemods.sdks.import_map import ImportMap, NameLine
from capa_codemods.sdks.module_names import line_of_module_name
from capa_codemods.sdks.sieve import Sieve

CAPA_DISTRIBUTION = "capa-core"
"""The distribution whose extras bring the adapters."""


class Target(NamedTuple):
    """The new place of a name: `from module import name`."""

    module: str
    name: str


class Names:
    """Old names and their new names.

    Attributes:
        maps: The import maps, in the order given.
        roots: Old top-level name → its import map.
        modules: Old module → new module, of all maps.
        settings: Setting in a settings module → the line about it.
        settings_prefixes: The beginnings of the names of such settings.
        sieve: Finds from the bytes of a Python file whether it may concern the roots.
    """

    def __init__(self, maps: Iterable[ImportMap]) -> None:
        """Index *maps*; of two maps that claim one root, the first wins."""
        self.maps = tuple(maps)
        self.roots: dict[str, ImportMap] = {}
        self.modules: dict[str, str] = {}
        self._lines: dict[tuple[str, str | None], NameLine] = {}
        for one in self.maps:
            for root in one.roots:
                self.roots.setdefault(root, one)
            owned = {old: new for old, new in one.modules.items() if self.roots[old.partition(".")[0]] is one}
            self.modules.update(owned)
            self._lines.update({(line.name, line.argument): line for line in one.names})
        self.settings = {name: line for one in self.maps for name, line in one.settings.items()}
        self.settings_prefixes = frozenset(name.split("_")[0].encode() + b"_" for name in self.settings)
        self._unserved = {old for one in self.maps for old in one.unserved}
        self._distributions = {
            normalized_name(name): one for one in reversed(self.maps) for name in one.distributions
        }
        self._required = spellings_pattern([*self._distributions, CAPA_DISTRIBUTION])
        self._originals = {new: old for old, new in reversed(self.modules.items())}
        self.sieve = Sieve(self.roots)

    def owner(self, dotted: str) -> ImportMap | None:
        """Return the import map that *dotted* belongs to, if any."""
        return self.roots.get(dotted.partition(".")[0])

    def line(self, dotted: str, argument: str | None = None) -> NameLine | None:
        """Return the line of the maps about exactly this name, or about this argument of it."""
        return self._lines.get((dotted, argument))

    def nearest_line(self, dotted: str) -> NameLine | None:
        """Return the line about *dotted*, or about the nearest name that holds it."""
        if found := line_of_module_name(dotted, self.modules, self.owner(dotted)):
            return found
        while dotted:
            if found := self._lines.get((dotted, None)):
                return found
            dotted = dotted.rpartition(".")[0]
        return None

    def limit(self, dotted: str, arguments: Collection[str]) -> NameLine | None:
        """Return the line that limits *dotted*, called with *arguments*, most; None if it is served in full."""
        lines = (*(self.line(dotted, argument) for argument in arguments), self.nearest_line(dotted))
        limits = [line for line in lines if line and line.support != "full"]
        return min(limits, key=lambda line: ("none", "partial").index(line.support), default=None)

    def module_of(self, dotted: str) -> str | None:
        """Return the longest served module that is *dotted* or holds it."""
        while dotted and dotted not in self.modules:
            dotted = dotted.rpartition(".")[0]
        return dotted or None

    def knows(self, dotted: str) -> bool:
        """Return whether the maps mention *dotted*: a module, or a name that stands in one of their tables."""
        owner = self.owner(dotted)
        is_listed = dotted in self.modules or self.line(dotted) is not None or self.is_unserved(dotted)
        return is_listed or (owner is not None and dotted in (*owner.returns, *owner.returns.values()))

    def is_unserved(self, dotted: str) -> bool:
        """Return whether *dotted* is known to be a module that no adapter has, or below one."""
        while dotted and dotted not in self._unserved:
            dotted = dotted.rpartition(".")[0]
        return bool(dotted)

    def target_of(self, module: str, name: str) -> Target:
        """Return the new place of the name that `from module import name` binds; *module* itself if it must stay."""
        dotted = f"{module}.{name}"
        line, nearest = self.line(dotted), self.nearest_line(dotted)
        is_refused = nearest is not None and nearest.support == "none"
        if is_refused or self.is_unserved(dotted):
            return Target(module, name)
        if line is not None and line.to:
            return Target(*line.to.rpartition(".")[::2])
        if dotted in self.modules:
            return Target(*self.modules[dotted].rpartition(".")[::2])
        return Target(self.modules.get(module, module), name)

    def original(self, dotted: str) -> str:
        """Return the old name of *dotted*, if that is a name of an adapter; else *dotted*."""
        module = dotted
        while module and module not in self._originals:
            module = module.rpartition(".")[0]
        return self._originals[module] + dotted[len(module) :] if module else dotted

    def new_root(self, module: str) -> str | None:
        """Return the new module in place of the root of *module*, which `import module` binds.

        None unless both are served, and the new root holds the new module under the same path.
        """
        root = module.partition(".")[0]
        new, new_root = self.modules.get(module), self.modules.get(root)
        if new is None or new_root is None or new != new_root + module.removeprefix(root):
            return None
        return new_root

    def required(self, distribution: str) -> ImportMap | None:
        """Return the import map of the SDK that *distribution*, in any spelling, brings."""
        return self._distributions.get(normalized_name(distribution))

    def may_require(self, text: str) -> bool:
        """Return whether *text*, up to the size that is ever parsed, names a distribution that brings an SDK."""
        return self._required.search(text, 0, LARGEST_BYTES) is not None


def normalized_name(distribution: str) -> str:
    """Return the one spelling of the name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def spellings_pattern(distributions: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern for all spellings of *distributions* as whole names, or as those of repositories of git."""
    parts = ("[-_.]+".join(map(re.escape, normalized_name(name).split("-"))) for name in distributions)
    return re.compile(rf"(?<![\w.-])(?:{'|'.join(parts)})(?![\w-]|\.(?!git\b)\w)", re.IGNORECASE)
