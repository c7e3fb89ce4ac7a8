"""Making a module's name stand for Celery's module itself.

A module that is unchanged must not exist twice: `patch("celery.schedules.crontab")` through either name has to affect
the code that runs. So the name in `sys.modules` leads to the original; the file is there for type checkers, editors
and `find_spec`. Packages stay packages of ours, since their submodules are found through them.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

_OURS, _THEIRS = "capa_celery", "celery"


def module(name: str) -> None:
    """Let *name*, the module that is being imported, stand for Celery's module of the same place."""
    sys.modules[name] = import_module(_theirs(name))


def mirror(name: str) -> None:
    """Let *name*, the module or package that is being imported, give and take the names of Celery's.

    To be called at its end: names that it has by then are its own.
    """
    original = import_module(_theirs(name))

    class Mirror(ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            try:
                return getattr(original, attribute)
            except AttributeError:
                raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

        def __setattr__(self, attribute: str, value: Any) -> None:
            if attribute in vars(self) or isinstance(value, ModuleType) or not hasattr(original, attribute):
                super().__setattr__(attribute, value)
            else:
                setattr(original, attribute, value)

    sys.modules[name].__class__ = Mirror


def _theirs(name: str) -> str:
    return _THEIRS + name.removeprefix(_OURS)
