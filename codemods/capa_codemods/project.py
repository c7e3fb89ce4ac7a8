"""One tree: which roots mean an SDK in a file of it, and which mean the user's own modules."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from capa_codemods.read.encodings import text_in
from capa_codemods.read.files import read_file
from capa_codemods.sdks.names import Names, spellings_pattern

CAPA_TOML = "capa.toml"
MANIFEST_NAMES = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "tox.ini")
_MANIFEST_ENDINGS = (*map(str.lower, MANIFEST_NAMES), ".txt", ".in", ".yml", ".yaml")
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_REQUIREMENTS = re.compile(
    r"(?:^|.*[-_.])(?:requirements|deps|dependencies)(?:[-_.].*)?\.(?:txt|in)$", re.IGNORECASE
)
# At the beginning of a line or behind a space: `#` in an address begins no comment.
_COMMENT = re.compile(r"(?:^|(?<=[\s,\[\]{}\"']))#.*|^[ \t]*;.*", re.MULTILINE)
_CONDA = re.compile(r"(?:conda|conda[-_.]env|environment)(?:[-_.][\w.-]*)?\.ya?ml")


class Project:
    """One tree, with the facts that rules need about it.

    Attributes:
        root: Absolute path of the tree; the paths of all files are relative to it.
        names: Old names and new names.
        files: All files of the tree that were listed, relative, with forward slashes.
        import_roots: Folders, relative, that the user names as places on `sys.path`.
        settings: Rule → the keys of `[tool.capa.migrate.<rule>]`.
    """

    def __init__(
        self,
        root: str,
        names: Names,
        files: Sequence[str],
        import_roots: Sequence[str] = (),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Describe the tree at *root*."""
        self.root = root
        self.names = names
        self.files = files
        self.import_roots = tuple(folder.strip("/") for folder in import_roots)
        self.settings = settings or {}
        self._refusals: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._import_folders: dict[str, list[str]] = {}
        self._manifest_texts: dict[str, str] = {}

    def refusal(self, root: str, path: str) -> tuple[str, str] | None:
        """Return why *root* in the file *path* may not be the SDK and the next step; None if it is."""
        key = (root, path.rpartition("/")[0])
        if key not in self._refusals:
            self._refusals[key] = self._refusal(*key)
        return self._refusals[key]

    def _refusal(self, root: str, folder: str) -> tuple[str, str] | None:
        if package := self._package_around(root, folder):
            return (
                f"this file belongs to a package `{root}` of the tree, {package}",
                "nothing to do: inside it, the name means itself",
            )
        if shadow := self.own_module(root, folder):
            return (
                f"`{root}` is your own module {shadow} here, not the SDK",
                "nothing to do; if it is not, set where modules are found: [tool.capa.migrate] roots",
            )
        owner = self.names.roots[root]
        if owner.evidence == "import":
            return None
        if namesake := self._namesakes.get(root):
            return (
                f"`{root}` is also your own module {namesake}",
                "change this import by hand if it is the SDK",
            )
        distributions = owner.bringing(root)
        if not self._has_evidence(distributions, folder):
            return (
                f"`{root}` is a frequent name, and no manifest names {' or '.join(distributions)}",
                f"if it is {owner.name}, name its distribution in a requirements file and run again",
            )
        return None

    def copies_around(self, path: str) -> frozenset[str]:
        """Return the roots that are also the package around the file at *path*: there they mean the package itself."""
        folder = path.rpartition("/")[0]
        named = self.names.roots.keys() & folder.split("/")
        return frozenset(root for root in named if self._package_around(root, folder))

    def _package_around(self, root: str, folder: str) -> str | None:
        """Return the folder of the top-level package *root* if *folder* is in it, such as a copy of the SDK."""
        top = None
        while folder and self._exists(folder, "__init__.py"):
            top, folder = folder, folder.rpartition("/")[0]
        return top if top and top.rpartition("/")[2] == root else None

    def own_module(self, root: str, folder: str) -> str | None:
        """Return the module of the tree that `import root` finds in a file in *folder*; None if there is none."""
        places = self.import_folders(folder)
        return next((found for place in places if (found := self._module_in(place, root))), None)

    def import_folders(self, folder: str) -> list[str]:
        """Return the folders from which a file in *folder* may import by name, nearest first."""
        if folder not in self._import_folders:
            self._import_folders[folder] = self._search_path(folder)
        return self._import_folders[folder]

    def _search_path(self, folder: str) -> list[str]:
        found = list(self.import_roots)
        # A script finds its neighbours; a module of a package does not.
        if not self._exists(folder, "__init__.py"):
            found.append(folder)
        at: str | None = folder
        while at is not None:
            if (
                not at
                or at.rpartition("/")[2] == "src"
                or any(self._exists(at, name) for name in _PROJECT_FILES)
            ):
                found += [at, f"{at}/src".lstrip("/")]
            at = at.rpartition("/")[0] if at else None
        return found

    def _module_in(self, folder: str, name: str) -> str | None:
        for candidate in (f"{name}.py", f"{name}/__init__.py"):
            if self._exists(folder, candidate):
                return f"{folder}/{candidate}".lstrip("/")
        return None

    def _exists(self, folder: str, name: str) -> bool:
        return os.path.lexists(os.path.join(self.root, folder, name))

    @cached_property
    def _namesakes(self) -> dict[str, str]:
        """Roots that are also modules of the tree itself, each with the first of them."""
        found: dict[str, str] = {}
        for path in self.files:
            name = path.removesuffix("/__init__.py").rpartition("/")[2].removesuffix(".py")
            if name in self.names.roots and path.endswith(".py"):
                found.setdefault(name, path)
        return found

    def _has_evidence(self, distributions: Sequence[str], folder: str) -> bool:
        wanted = spellings_pattern(distributions)
        return any(
            wanted.search(self.text_of(manifest)) for manifest in self.manifests if _governs(manifest, folder)
        )

    @cached_property
    def capa_toml(self) -> Mapping[str, Any]:
        """The content of the tree's capa.toml; empty if there is none, or it is not TOML."""
        import tomllib

        try:
            with open(os.path.join(self.root, CAPA_TOML), "rb") as file:
                return tomllib.load(file)
        except (OSError, ValueError, RecursionError):
            return {}

    def components(self, block: str) -> Mapping[str, Any]:
        """Return the tables of capa.toml for *block*: logical name → table."""
        tables = self.capa_toml.get(block, {})
        return tables if isinstance(tables, dict) else {}

    @cached_property
    def manifests(self) -> tuple[str, ...]:
        """The files of the tree that name distributions."""
        return tuple(path for path in self.files if is_manifest(path))

    def text_of(self, manifest: str) -> str:
        """Return the text of a *manifest* without its comments; nothing if it cannot be read."""
        if manifest not in self._manifest_texts:
            try:
                data = read_file(os.path.join(self.root, manifest), follow_link=True) or b""
            except OSError:
                # An unreadable file is no evidence; the rules for manifests report it.
                data = b""
            self._manifest_texts[manifest] = _COMMENT.sub("", text_in(data[: 1 << 20]))
        return self._manifest_texts[manifest]


def legacy_of(table: object) -> list[str]:
    """Return the legacy addresses that the *table* of a component in capa.toml lists."""
    listed = table.get("legacy", []) if isinstance(table, dict) else []
    texts = [listed] if isinstance(listed, str) else listed
    return [text for text in texts if isinstance(text, str)] if isinstance(texts, list) else []


def is_manifest(path: str) -> bool:
    """Return whether the file at *path* names the distributions that a project needs."""
    if not path.lower().endswith(_MANIFEST_ENDINGS):  # called for every file of a tree, and most end here
        return False
    name = path.rpartition("/")[2]
    return name in MANIFEST_NAMES or is_requirements(path) or is_conda(path)


def is_requirements(path: str) -> bool:
    """Return whether *path* is a pip requirements file by its name or its folder."""
    folder, _, name = path.rpartition("/")
    in_folder = folder.rpartition("/")[2] == "requirements" and name.endswith((".txt", ".in"))
    # pip refuses extras in a constraints file.
    return (in_folder or _REQUIREMENTS.match(name) is not None) and not name.startswith("constraint")


def is_conda(path: str) -> bool:
    """Return whether *path* is a conda environment by its name."""
    # The output of conda-lock has a name like one.
    return _CONDA.fullmatch(path.rpartition("/")[2]) is not None and "-lock." not in path


def _governs(manifest: str, folder: str) -> bool:
    governed = manifest.rpartition("/")[0]
    if governed.rpartition("/")[2] == "requirements":
        governed = governed.rpartition("/")[0]
    return not governed or f"{folder}/".startswith(f"{governed}/")
