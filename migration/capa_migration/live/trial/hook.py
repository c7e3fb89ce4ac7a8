"""Redirection of imports in files of the project, and of the names that its tests patch.

`__import__` is replaced rather than a finder added: a finder does not know the importing module, and the adapters
themselves must go on importing the originals.
"""

from __future__ import annotations

import builtins
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from opcode import opmap
from types import FrameType, ModuleType
from typing import Any

from capa_codemods.api import Names, Project, list_files, read_import_map
from capa_migration.live.trial import environment

_IMPORT_FROM = bytes([opmap["IMPORT_FROM"]])
_FOREIGN = ("/site-packages/", "/dist-packages/")


def install(variables: Mapping[str, str]) -> None:
    """Redirect the imports of the project that *variables* name, in this process.

    Raises:
        ImportMapError: An adapter's import map is wrong.
    """
    root = variables.get(environment.ROOT)
    if root is None:
        return
    maps = [path for path in variables.get(environment.MAPS, "").split(os.pathsep) if path]
    sdks = [name for name in variables.get(environment.SDKS, "").split(",") if name]
    names = Names(read_import_map(path) for path in maps)
    redirect = Redirect(root, names, [os.path.dirname(path) for path in maps], sdks)
    redirect.install()


class Redirect:
    """The redirection of one project's imports."""

    def __init__(self, root: str, names: Names, adapters: Sequence[str], sdks: Sequence[str] = ()) -> None:
        """Redirect the names in *names* for files below *root*, except those in the folders *adapters*.

        *sdks* are the frequent names of modules that are an SDK without evidence in a manifest.
        """
        self._root = root.rstrip("/") + "/"
        self._names = names
        self._adapters = tuple(f"{os.path.realpath(folder)}/" for folder in adapters)
        self._decisions: dict[tuple[str, str], bool] = {}
        self._project = Project(root, names, [], sdks=sdks)
        self._told: set[str] = set()
        self._listed: Project | None = None
        self._import: Callable[..., ModuleType] = builtins.__import__
        self._import_module = importlib.import_module

    def install(self) -> None:
        """Replace `__import__` and `importlib.import_module`."""
        builtins.__import__ = self._redirected
        importlib.import_module = self._redirected_module

    def _redirected(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - callers pass it by this name
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level == 0:
            root = name.partition(".")[0]
            if root in self._names.roots and globals is not None:
                if self._is_in_project(root, globals):
                    return self._moved(name, globals, fromlist or ())
                self._tell_of_doubt(name, globals)
            if root in {"unittest", "mock", "_pytest"}:
                module = self._import(name, globals, locals, fromlist, level)
                self._redirect_patches()
                return module
        return self._import(name, globals, locals, fromlist, level)

    def _redirected_module(self, name: str, package: str | None = None) -> ModuleType:
        root = name.partition(".")[0]
        if root in self._names.roots and self._is_in_project(root, sys._getframe(1).f_globals):
            name = self._names.modules.get(name, name)
        return self._import_module(name, package)

    def _moved(self, name: str, globals: Mapping[str, Any], fromlist: Sequence[str]) -> ModuleType:  # noqa: A002
        if not fromlist:
            new_root = self._names.new_root(name)
            if new_root is None and name in self._names.modules and _binds_last_module(sys._getframe(2)):
                return self._package_chain(name)
            if new_root is None:
                return self._import(name, globals, None, None, 0)
            self._import_module(self._names.modules[name])
            return self._import_module(new_root)
        targets = [self._names.target_of(name, one) for one in fromlist]
        if all(
            target.module == targets[0].module and target.name == one
            for target, one in zip(targets, fromlist, strict=True)
        ):
            return self._import(targets[0].module, globals, None, fromlist, 0)
        # `from module import a, b` reads its names from one module: make one that holds each from its own.
        gathered = ModuleType(name)
        for target, one in zip(targets, fromlist, strict=True):
            source = self._import(target.module, globals, None, (target.name,), 0)
            if hasattr(source, target.name):
                setattr(gathered, one, getattr(source, target.name))
        return gathered

    def _package_chain(self, name: str) -> ModuleType:
        """Return a module whose attributes, along the dotted *name*, lead to the new module."""
        found = self._import_module(self._names.modules[name])
        *above, _ = parts = name.split(".")
        for length in range(len(above), 0, -1):
            holder = ModuleType(".".join(parts[:length]))
            setattr(holder, parts[length], found)
            found = holder
        return found

    def _is_in_project(self, root: str, globals: Mapping[str, Any]) -> bool:  # noqa: A002
        path = globals.get("__file__")
        if not isinstance(path, str):
            return globals.get("__name__") == "__main__"  # `python -c`, or a prompt
        key = (root, path)
        if key not in self._decisions:
            self._decisions[key] = self._is_redirected(root, os.path.realpath(path))
        return self._decisions[key]

    def _is_redirected(self, root: str, path: str) -> bool:
        if not path.startswith(self._root) or path.startswith(self._adapters):
            return False
        relative = path[len(self._root) :]
        if any(folder in f"/{relative}" for folder in _FOREIGN):
            return False
        return self._project_for(root).refusal(root, relative) is None

    def _tell_of_doubt(self, name: str, globals: Mapping[str, Any]) -> None:  # noqa: A002
        """Say once why the import of module *name* is not redirected, if it looks like an SDK's."""
        if name in self._told:
            return
        self._told.add(name)
        path = os.path.realpath(str(globals.get("__file__", "")))
        root = name.partition(".")[0]
        is_ours = path.startswith(self._root) and not path.startswith(self._adapters)
        doubt = self._project_for(root).uncertain(name, path[len(self._root) :]) if is_ours else None
        if doubt is not None:
            reason, step = doubt
            sys.stderr.write(f"capa run: {name} is not redirected: {reason}. Next: {step}.\n")

    def _project_for(self, root: str) -> Project:
        if not self._project.may_doubt(root):
            return self._project
        # Only evidence by manifest needs the list of all files.
        if self._listed is None:
            self._listed = Project(
                self._root.rstrip("/"),
                self._names,
                list_files(self._root.rstrip("/")),
                sdks=[*self._project.sdks],
            )
        return self._listed

    def _redirect_patches(self) -> None:
        """Redirect `patch("requests.get")` and `monkeypatch.setattr("requests.get", …)` to the new modules."""
        from capa_migration.live.trial.patching import redirect_patches

        redirect_patches(self._names)


def _binds_last_module(frame: FrameType) -> bool:
    """Return whether *frame* is at an `import a.b as c`, which binds the last module, not the root.

    `__import__` gets the same call for it and for `import a.b`; only the next bytecode differs.
    """
    following = frame.f_lasti + 2
    return frame.f_code.co_code[following : following + 1] == _IMPORT_FROM
