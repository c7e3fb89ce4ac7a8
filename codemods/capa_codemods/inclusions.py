"""Inclusions among manifests: `-r base.txt` and `file: base.txt` require it too, `-c limits.txt` limits versions."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

_OPTION = re.compile(
    r"^[ \t]*(?:-[ \t]+)?[\"']?(?P<option>-r|-c|--requirement|--constraint)(?:[ \t]*=[ \t]*|[ \t]+|(?<=-[rc]))"
    r"[\"']?(?P<path>[^\s\"'#;]+)",
    re.MULTILINE,
)
# Of setuptools.
_FILES_OF_CFG = re.compile(r"^\w*requires?\w*[ \t]*=\s*file:([^\n]*(?:\n[ \t]+[^\n]*)*)", re.MULTILINE)
_FILES_OF_TOML = re.compile(
    r"^(?![ \t]*(?:readme|license|version|description)\b)[^\n#=]+=[ \t]*\{[^}\n]*\bfile[ \t]*=[ \t]*"
    r"(\[[^\]]*\]|\"[^\"\n]*\"|'[^'\n]*')",
    re.MULTILINE,
)
_REQUIREMENTS = (".txt", ".in")
_HERE = re.compile(r"^\{(?:toxinidir|tox_root)\}/")


class Inclusions:
    """The files of a tree that manifests include, over any number of steps.

    Attributes:
        required: Files whose requirements are included.
        limiting: Files that are included by `-c`, each with the first file that does so.
    """

    def __init__(self, starts: Iterable[str], text_of: Callable[[str], str], files: Collection[str]) -> None:
        """Follow the inclusions from the files *starts*, whose texts are without comments, to others of *files*."""
        self._steps: dict[str, list[tuple[str, str]]] = {}
        self.required: set[str] = set()
        self.limiting: dict[str, str] = {}
        queue = list(starts)
        while queue:
            path = queue.pop()
            if path in self._steps:
                continue
            found = [(option, target) for option, target in included(path, text_of(path)) if target in files]
            self._steps[path] = found
            for option, target in found:
                if option == "-r":
                    self.required.add(target)
                else:
                    self.limiting.setdefault(target, path)
                queue.append(target)

    def has(self, path: str) -> bool:
        """Return whether a file includes *path*."""
        return path in self.required or path in self.limiting

    def beside(self, path: str) -> Iterator[frozenset[str]]:
        """Yield for each requirements file that includes *path*, itself too, the others that are installed with it.

        Of manifests with several lists, such as a tox.ini, no two need be installed together.
        """
        for together in self._groups.get(path, ()):
            yield together - {path}

    @cached_property
    def _groups(self) -> dict[str, set[frozenset[str]]]:
        """The files that are installed together, by each of them; only where there are several."""
        found: dict[str, set[frozenset[str]]] = defaultdict(set)
        for start in self._steps:
            together = self._reached(start, ("-r", "-c")) if start.endswith(_REQUIREMENTS) else ()
            for path in together if len(together) > 1 else ():
                found[path].add(frozenset(together))
        return found

    def together(self, path: str) -> frozenset[str]:
        """Return *path* and the files whose requirements it includes."""
        return self._reached(path, ("-r",))

    def _reached(self, path: str, options: Collection[str]) -> frozenset[str]:
        found: set[str] = set()
        queue = [path]
        while queue:
            at = queue.pop()
            if at not in found:
                found.add(at)
                queue += [target for option, target in self._steps.get(at, ()) if option in options]
        return frozenset(found)


def included(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the files that the file at *path*, with *text*, includes, from the root on, each after `-r` or `-c`."""
    folder = posixpath.dirname(path)
    for option, target in (*_by_option(text), *_by_key(path, text)):
        yield option, posixpath.normpath(posixpath.join(folder, target))


def _by_option(text: str) -> Iterator[tuple[str, str]]:
    for found in _OPTION.finditer(text):
        option = "-r" if found["option"] in {"-r", "--requirement"} else "-c"
        yield option, _HERE.sub("", found["path"])


def _by_key(path: str, text: str) -> Iterator[tuple[str, str]]:
    patterns = {"setup.cfg": _FILES_OF_CFG, "pyproject.toml": _FILES_OF_TOML}
    pattern = patterns.get(posixpath.basename(path))
    for found in pattern.finditer(text) if pattern else ():
        yield from (("-r", name) for name in re.findall(r"[^\s,\[\]\"']+", found[1]))
