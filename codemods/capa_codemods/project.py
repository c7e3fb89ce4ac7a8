"""One tree: which roots mean an SDK in a file of it, and which mean the user's own modules."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from capa_codemods.discovery import MAP_NAME
from capa_codemods.inclusions import Inclusions
from capa_codemods.read.encodings import text_in
from capa_codemods.read.files import read_file
from capa_codemods.read.python_file import PythonFile
from capa_codemods.sdks.names import Names, spellings_pattern
from capa_codemods.shared_names import SharedNames

CAPA_TOML = "capa.toml"
MANIFEST_NAMES = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "tox.ini")
_MANIFEST_ENDINGS = (*map(str.lower, MANIFEST_NAMES), ".txt", ".in", ".yml", ".yaml")
PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")
_REQUIREMENTS = re.compile(
    r"(?:^|.*[-_.])(?:requirements|deps|dependencies)(?:[-_.].*)?\.(?:txt|in)$", re.IGNORECASE
)
# Folders that hold packages of others, or that applications put on `sys.path` themselves.
_ON_PATH_BY_HAND = frozenset(
    {
        *("vendor", "vendored", "vendors", "_vendor", "third_party", "thirdparty", "3rdparty"),
        *("extern", "external", "externals", "lib", "libs", "deps", "apps", "python"),
    }
)
_CONSTRAINTS = re.compile(r"(?:^|.*[-_.])constraints?(?:[-_.].*)?\.txt$", re.IGNORECASE)
_CAPA_PACKAGES = {"capa_core", "capa_codemods", "capa_migration"}
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
        sdks: Roots that are an SDK without evidence in a manifest, since the user says so.
        shared_names: The use that files make of names of one another.
    """

    def __init__(
        self,
        root: str,
        names: Names,
        files: Sequence[str],
        import_roots: Sequence[str] = (),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        sdks: Sequence[str] = (),
    ) -> None:
        """Describe the tree at *root*."""
        self.root = root
        self.names = names
        self.files = files
        self.import_roots = tuple(folder.strip("/") for folder in import_roots)
        self.settings = settings or {}
        self.sdks = frozenset(sdks)
        self._refusals: dict[tuple[str, str], tuple[str, str] | None] = {}
        self._stand_ins: dict[tuple[str, str], str | None] = {}
        self._import_folders: dict[str, list[str]] = {}
        self._manifest_texts: dict[str, str] = {}
        self.shared_names = SharedNames(root, files)
        self._last_python: PythonFile | None = None

    def with_names(self, names: Names) -> Project:
        """Return the same tree under other *names*."""
        return Project(self.root, names, self.files, self.import_roots, self.settings, sdks=tuple(self.sdks))

    def python_file(self, path: str, data: bytes) -> PythonFile:
        """Return the Python file at *path*, which holds *data*, parsed once for all who read it in turn.

        Its tree must be left as it is.

        Raises:
            UnreadableError: As from `PythonFile`.
        """
        if self._last_python is None or not self.has_parsed(path, data):
            self._last_python = None  # two large trees at once are too many
            self._last_python = PythonFile(path, data)
        return self._last_python

    def has_parsed(self, path: str, data: bytes) -> bool:
        """Return whether `python_file` has the file at *path*, which holds *data*, at hand."""
        last = self._last_python
        return last is not None and (last.path, last.data) == (path, data)

    def refusal(self, root: str, path: str) -> tuple[str, str] | None:
        """Return why *root* in the file *path* may not be the SDK and the next step; None if it is."""
        key = (root, path.rpartition("/")[0])
        if key not in self._refusals:
            self._refusals[key] = self._refusal(*key)
        return self._refusals[key]

    def _refusal(self, root: str, folder: str) -> tuple[str, str] | None:
        if own := self.capa_around(folder):
            return (
                f"this file belongs to Capa itself, {own}",
                "nothing to do: its adapters stand on the original SDKs",
            )
        if package := self._package_around(root, folder, self._may_be_on_path):
            return (
                f"this file belongs to a package `{root}` of the tree, {package}",
                "nothing to do: inside it, the name means itself",
            )
        if shadow := self.own_module(root, folder):
            return (
                f"`{root}` is your own module {shadow} here, not the SDK",
                "nothing to do; if it is not, set where modules are found: [tool.capa.migrate] roots",
            )
        if self.stand_in(root, folder):
            return self._without_adapter(root, folder)
        return self._doubt(root, folder) if self.may_doubt(root) else None

    def without_adapter(self, root: str, path: str) -> tuple[str, str] | None:
        """Return why an import of *root* in the file *path* would not find its adapter, and the next step.

        None if it would, or if *root* is not the SDK there.
        """
        refused = self.refusal(root, path)
        folder = path.rpartition("/")[0]
        is_hidden = refused is not None and self.stand_in(root, folder) is not None
        return refused if is_hidden and refused == self._without_adapter(root, folder) else None

    def _without_adapter(self, root: str, folder: str) -> tuple[str, str]:
        package = self.names.roots[root].package
        module = (self.stand_in(root, folder) or "").removesuffix("/__init__.py")
        return (
            f"`{package}` is your own module {module} here, not the adapter of `{root}`, which it hides",
            f"rename {module}, or --exclude it if it is never on the path, and run again: until then `{root}` stays",
        )

    def may_doubt(self, root: str) -> bool:
        """Return whether *root* is a frequent name, which is an SDK only with evidence."""
        return self.names.roots[root].evidence == "manifest" and root not in self.sdks

    def uncertain(self, dotted: str, path: str) -> tuple[str, str] | None:
        """Return why *dotted*, imported in the file *path*, may not be the SDK that it looks like, and the next step.

        None if it is certain, or does not look like one: a frequent name needs a module or class behind it.
        """
        root, _, rest = dotted.partition(".")
        if (
            root not in self.names.roots
            or not self.may_doubt(root)
            or not (rest and self.names.knows(dotted))
        ):
            return None
        refused = self.refusal(root, path)
        return refused if refused == self._doubt(root, path.rpartition("/")[0]) else None

    def _doubt(self, root: str, folder: str) -> tuple[str, str] | None:
        """Return why *root*, a name that others have too, may not be the SDK."""
        if namesake := self._namesakes.get(root):
            return (
                f"`{root}` is also your own module {namesake}",
                "change this import by hand if it is the SDK",
            )
        owner = self.names.roots[root]
        distributions = owner.bringing(root)
        if not self._has_evidence(distributions, folder):
            return (
                f"`{root}` is a frequent name, and no manifest names {' or '.join(distributions)}",
                f"if it is {owner.name}, name its distribution in a requirements file, or run again with --sdk {root}",
            )
        return None

    def modules_called(self, name: str) -> Sequence[str]:
        """Return the Python files of the tree that are modules or packages with the last name *name*."""
        return self._by_module_name.get(name, ())

    @cached_property
    def _by_module_name(self) -> Mapping[str, Sequence[str]]:
        found: dict[str, list[str]] = {}
        for path in self.files:
            if path.endswith(".py"):
                name = path.removesuffix("/__init__.py").removesuffix(".py").rpartition("/")[2]
                found.setdefault(name, []).append(path)
        return found

    def copies_around(self, path: str) -> frozenset[str]:
        """Return the roots that are also the package around the file at *path*: there they mean the package itself."""
        folder = path.rpartition("/")[0]
        named = self.names.roots.keys() & folder.split("/")
        return frozenset(root for root in named if self._package_around(root, folder, self._is_on_path))

    def _package_around(self, root: str, folder: str, is_on_path: Callable[[str], bool]) -> str | None:
        """Return the folder of the package *root* if *folder* is in it: one on top, or a copy of the SDK below another.

        Below another package, `import root` means the SDK, unless a copy of that was edited to import itself. A folder
        without an `__init__.py` is a package too, unless *is_on_path*.
        """
        found = None
        while folder and self._exists(folder, "__init__.py"):
            above, _, name = folder.rpartition("/")
            if name == root and (is_on_path(above) or self._is_copy(root, folder)):
                found = folder
            folder = above
        return found

    def _is_on_path(self, folder: str) -> bool:
        """Return whether *folder* is a place on `sys.path`, as far as the tree shows."""
        is_place = folder in (*self.import_roots, *self._places_above(folder))
        is_place = is_place or folder.rpartition("/")[2] in _ON_PATH_BY_HAND
        return is_place and not self._exists(folder, "__init__.py")

    def _may_be_on_path(self, folder: str) -> bool:
        """Return whether *folder* is such a place, or one for a script of its own."""
        is_place = folder in self._script_folders and not self._exists(folder, "__init__.py")
        return is_place or self._is_on_path(folder)

    @cached_property
    def _script_folders(self) -> frozenset[str]:
        return frozenset(path.rpartition("/")[0] for path in self.files if path.endswith(".py"))

    def _is_copy(self, root: str, folder: str) -> bool:
        """Return whether *folder* holds the modules of the SDK, rather than modules of the user's own."""
        begin = f"{root}."
        modules = [name.removeprefix(begin) for name in self.names.modules if name.startswith(begin)]
        own = [name for name in modules if "." not in name]
        present = [name for name in own if self._module_in(folder, name)]
        return 2 * len(present) > len(own) > 0

    def capa_around(self, folder: str) -> str | None:
        """Return the folder of the package of Capa that *folder* is in, as where it is vendored; None if it is in none.

        Its files stay as they are, and their use of an SDK is no call site of the project.
        """
        parts = folder.split("/")
        for count, name in enumerate(parts, 1):
            package = "/".join(parts[:count])
            is_capa = name in self._capa_packages and self._exists(package, "__init__.py")
            if is_capa and not self._stands_in(f"{package}/__init__.py"):
                return package
        return None

    def stand_in(self, root: str, folder: str) -> str | None:
        """Return the user's own module that a file in *folder* may find in place of the adapter of *root*, if any."""
        key = (self.names.roots[root].package, folder)
        if key not in self._stand_ins:
            self._stand_ins[key] = self._stand_in(*key)
        return self._stand_ins[key]

    def _stand_in(self, package: str, folder: str) -> str | None:
        if not package:
            return None  # nothing of the SDK is served
        if (found := self.own_module(package, folder)) and self._stands_in(found):
            return found if found in self.listed else None
        named = self.modules_called(package)
        return next((one for one in named if self._is_put_on_path(one) and self._stands_in(one)), None)

    def _is_put_on_path(self, module: str) -> bool:
        """Return whether *module* is in a folder that applications put on `sys.path` themselves."""
        above = module.removesuffix("/__init__.py").rpartition("/")[0]
        return above.rpartition("/")[2] in _ON_PATH_BY_HAND and not self._exists(above, "__init__.py")

    def _stands_in(self, module: str) -> bool:
        """Return whether *module*, called like an adapter, is on top and not a copy of the adapter.

        Each adapter has its import map beside; below another package, the name of the adapter does not mean it.
        """
        if not module.endswith("/__init__.py"):
            return True
        package = module.removesuffix("/__init__.py")
        above, _, name = package.rpartition("/")
        if name in _CAPA_PACKAGES or self._exists(above, "__init__.py"):
            return False
        return not self._exists(package, MAP_NAME)

    @cached_property
    def _capa_packages(self) -> frozenset[str]:
        adapters = (new.partition(".")[0] for new in self.names.modules.values())
        return frozenset(adapters) | _CAPA_PACKAGES

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
        return [*found, *self._places_above(folder)]

    def _places_above(self, folder: str) -> list[str]:
        """Return the folders at and above *folder* that are on `sys.path` where a project there is installed or run."""
        found: list[str] = []
        at: str | None = folder
        while at is not None:
            if (
                not at
                or at.rpartition("/")[2] == "src"
                or any(self._exists(at, name) for name in PROJECT_FILES)
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
            with open(os.path.join(self.root, CAPA_TOML), encoding="utf-8-sig") as file:
                return tomllib.loads(file.read())
        except (OSError, ValueError, RecursionError):
            return {}

    def components(self, block: str) -> Mapping[str, Any]:
        """Return the tables of capa.toml for *block*: logical name → table."""
        tables = self.capa_toml.get(block, {})
        return tables if isinstance(tables, dict) else {}

    @cached_property
    def manifests(self) -> tuple[str, ...]:
        """The files of the tree that name distributions."""
        named = tuple(filter(is_manifest, self._by_name))
        known = frozenset(named)
        if not (included := self.inclusions.required.difference(named)):
            return named
        return tuple(path for path in self.files if path in included or path in known)

    @cached_property
    def _by_name(self) -> tuple[str, ...]:
        """The manifests and constraints files, by their names."""
        return tuple(path for path in self.files if is_manifest(path) or is_constraints(path))

    def is_required(self, path: str) -> bool:
        """Return whether *path* is a manifest by its name, or a file that one includes with its requirements."""
        return is_manifest(path) or path in self.inclusions.required

    @cached_property
    def listed(self) -> frozenset[str]:
        """The same as `files`, to look paths up in."""
        return frozenset(self.files)

    @cached_property
    def inclusions(self) -> Inclusions:
        """The files that manifests and constraints files include."""
        return Inclusions(self._by_name, self.text_of, self.listed if self._by_name else ())

    def binds_others(self, path: str) -> bool:
        """Return whether the outcome of other files may depend on the file at *path*, a manifest or a part of one."""
        return is_manifest(path) or is_constraints(path) or self.inclusions.has(path)

    def text_of(self, manifest: str) -> str:
        """Return the text of a *manifest* without its comments; nothing if it cannot be read."""
        if manifest not in self._manifest_texts:
            try:
                data = read_file(os.path.join(self.root, manifest), follow_link=True) or b""
            except OSError:
                # An unreadable file is not evidence; the rules for manifests report it.
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
    return (in_folder or _REQUIREMENTS.match(name) is not None) and not is_constraints(path)


def is_constraints(path: str) -> bool:
    """Return whether *path* is a file for `pip install -c` by its name: it limits versions, and requires nothing."""
    return path.endswith(".txt") and _CONSTRAINTS.match(path.rpartition("/")[2]) is not None


def is_conda(path: str) -> bool:
    """Return whether *path* is a conda environment by its name."""
    # The output of conda-lock has a name like one.
    return _CONDA.fullmatch(path.rpartition("/")[2]) is not None and "-lock." not in path


def _governs(manifest: str, folder: str) -> bool:
    governed = manifest.rpartition("/")[0]
    if governed.rpartition("/")[2] == "requirements":
        governed = governed.rpartition("/")[0]
    return not governed or f"{folder}/".startswith(f"{governed}/")
