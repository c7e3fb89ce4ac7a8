"""Making a module's name stand for the original's module itself.

A module that is unchanged must not exist twice: `patch("requests.utils.getproxies")` through either name, or
`requests.packages.urllib3.disable_warnings()`, has to affect the code that runs. Copying the names would give
two modules that drift apart with the first assignment; so the name in `sys.modules` leads to the original.
The file is there for type checkers, editors and `find_spec`.
"""

from __future__ import annotations

import sys
from importlib import import_module

_OURS, _THEIRS = "capa_requests", "requests"


def module(name: str, *, with_submodules: bool = False) -> None:
    """Let *name*, the module that is being imported, stand for the original's module of the same place.

    Args:
        with_submodules: Do the same for all below it that is in `sys.modules` without being a file of its own.
    """
    theirs = _THEIRS + name.removeprefix(_OURS)
    sys.modules[name] = import_module(theirs)
    if with_submodules:
        for known in [known for known in sys.modules if known.startswith(f"{theirs}.")]:
            sys.modules[_OURS + known.removeprefix(_THEIRS)] = sys.modules[known]
