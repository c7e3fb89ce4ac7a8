"""Patches of a project's tests: they land where its redirected imports look.

`unittest.mock` and pytest resolve a target by importing it themselves, so their own helper functions are wrapped.
Where a version has no such helper, patches land on the original, as they do without the trial.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

from capa_codemods.api import Names, moved_patch_target

_HELPERS = (
    ("unittest.mock", "_get_target"),
    ("mock.mock", "_get_target"),
    ("_pytest.monkeypatch", "derive_importpath"),
)


def redirect_patches(names: Names) -> None:
    """Wrap the helpers of the libraries that are loaded, each once."""
    for module_name, helper_name in _HELPERS:
        module = sys.modules.get(module_name)
        helper = getattr(module, helper_name, None)
        if callable(helper) and not hasattr(helper, "__wrapped__"):
            setattr(module, helper_name, _wrapped(helper, names))


def _wrapped(helper: Callable[..., Any], names: Names) -> Callable[..., Any]:
    @wraps(helper)
    def resolve(target: object, *arguments: Any, **options: Any) -> Any:
        moved = moved_patch_target(target, names) if isinstance(target, str) else target
        return helper(moved, *arguments, **options)

    return resolve
