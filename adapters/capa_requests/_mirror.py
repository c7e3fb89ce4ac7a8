"""Making a module of ours stand in for one of the original's, down to the names that it does not define.

Code that was written against `requests.sessions` reads names there that nobody documents, and tests replace
them (`patch("requests.sessions.get_netrc_auth")`). After the import path has changed, both reach our module.
Reading a name that our module lacks gives the original's; setting one that the original has, and ours has not,
sets it in the original, whose code is what the caller wants to affect.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def declared_as(
    original: Callable[_Arguments, _Result],
) -> Callable[[Callable[..., _Result]], Callable[_Arguments, _Result]]:
    """Declare a method that takes its arguments as they come with those of *original*.

    Such a method can hand a call on as it was made: what applications put in place of a method of the original
    takes what the original is called with, and not always all that the original takes.
    """

    def declared(ours: Callable[..., _Result]) -> Callable[_Arguments, _Result]:
        ours.__signature__ = inspect.signature(original)  # type: ignore[attr-defined]
        return ours

    return declared


def install(name: str, original: ModuleType) -> None:
    """Make the module *name*, which is being imported, mirror *original*. To be called at its end.

    Names that the module has by then are its own; so are names that *original* does not have by then.
    """

    # As they are now: `patch` deletes a name before it puts the old value back.
    theirs = frozenset(vars(original)) - frozenset(vars(sys.modules[name]))

    class Mirror(ModuleType):
        def __getattr__(self, attribute: str) -> Any:
            try:
                return getattr(original, attribute)
            except AttributeError:
                raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

        def __setattr__(self, attribute: str, value: Any) -> None:
            if attribute in theirs:
                setattr(original, attribute, value)
            else:
                super().__setattr__(attribute, value)

        def __delattr__(self, attribute: str) -> None:
            if attribute in theirs:
                delattr(original, attribute)
            else:
                super().__delattr__(attribute)

        def __dir__(self) -> list[str]:
            return sorted({*vars(self), *vars(original)})

    sys.modules[name].__class__ = Mirror
