"""Modules of an adapter that are the original's own, or that stand in front of the original's.

A module must not exist twice: `patch("celery.schedules.crontab")` through either name has to affect the code that
runs. Copying names would give two modules that differ from the first assignment on. So the name of an unchanged module
leads to the original in `sys.modules`, and a module with names of its own passes all other names on. The file of
such a module is there for type checkers, editors and `find_spec`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def alias(name: str, original: str, *, submodules: bool = False) -> None:
    """Make *name*, the module that is being imported, another name of the module *original*.

    Args:
        submodules: Do the same for all below *original* that is in `sys.modules` without being a file of its own,
            such as `requests.packages.urllib3`.
    """
    sys.modules[name] = import_module(original)
    if submodules:
        for known in [known for known in sys.modules if known.startswith(f"{original}.")]:
            sys.modules[name + known.removeprefix(original)] = sys.modules[known]


def mirror(name: str, original: ModuleType | str) -> None:
    """Make *name*, the module or package that is being imported, stand in front of *original*.

    To be called at its end: names that it has by then are its own. Reading another name gives the original's;
    setting or deleting a name of the original's sets or deletes it there, where the code runs that it is meant for.
    A name that the module has imported from the original is set in both.
    """
    mirrored = import_module(original) if isinstance(original, str) else original
    theirs, own = dict(vars(mirrored)), vars(sys.modules[name])
    state = {
        "_mirrored": mirrored,
        "_own_names": frozenset(own),
        # As they are now: `patch` deletes a name before it puts the old value back.
        "_mirrored_names": {each: value for each, value in theirs.items() if each not in own},
        "_imported_names": frozenset(
            each
            for each in own.keys() & theirs.keys()
            if own[each] is theirs[each] and not each.startswith("__")
        ),
    }
    sys.modules[name].__class__ = type("Mirror", (_Mirror,), state)


class _Mirror(ModuleType):
    """A module that passes on names; each has a subclass of its own, which keeps its `vars` free of this state."""

    _mirrored: ModuleType
    _own_names: frozenset[str]
    _mirrored_names: Mapping[str, Any]
    _imported_names: frozenset[str]

    def __getattr__(self, attribute: str) -> Any:
        try:
            found = getattr(self._mirrored, attribute)
        except AttributeError:
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r}") from None
        if isinstance(found, ModuleType) and found.__name__ == f"{self._mirrored.__name__}.{attribute}":
            return self._submodule(attribute) or found
        return found

    def _submodule(self, name: str) -> ModuleType | None:
        """Import the adapter's own submodule: `from capa_celery import worker` asks for the attribute first."""
        full_name = f"{self.__name__}.{name}"
        try:
            return import_module(full_name)
        except ModuleNotFoundError as error:
            if error.name not in {full_name, self.__name__}:  # the latter is not a package
                raise
            return None

    def __setattr__(self, attribute: str, value: Any) -> None:
        if attribute in self._imported_names:
            super().__setattr__(attribute, value)
            setattr(self._mirrored, attribute, value)
        elif self._is_own_submodule(attribute, value) or not self._passes_on(attribute):
            super().__setattr__(attribute, value)
        else:
            setattr(self._mirrored, attribute, value)

    def __delattr__(self, attribute: str) -> None:
        if not self._passes_on(attribute):
            super().__delattr__(attribute)
        elif hasattr(builtins, attribute) and attribute in self._mirrored_names:
            # `patch` does not put such a name back, since code without it has the builtin.
            setattr(self._mirrored, attribute, self._mirrored_names[attribute])
        else:
            delattr(self._mirrored, attribute)

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *dir(self._mirrored)})

    def _passes_on(self, attribute: str) -> bool:
        if attribute in self._own_names or attribute in vars(self):
            return False
        return attribute in self._mirrored_names or hasattr(self._mirrored, attribute)

    def _is_own_submodule(self, attribute: str, value: Any) -> bool:
        """Return whether the import system binds a submodule that is another module than the original's."""
        if sys.modules.get(f"{self.__name__}.{attribute}") is not value:
            return False
        return vars(self._mirrored).get(attribute) is not value
