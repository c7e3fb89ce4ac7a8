"""Differences between the versions of urllib3 2."""

from __future__ import annotations

import inspect
from typing import Any

from urllib3.response import HTTPResponse

_PARAMETERS = frozenset(inspect.signature(HTTPResponse.__init__).parameters)
_LATER = tuple(name for name in ("version_string", "sock_shutdown") if name in _PARAMETERS)


def accepted(options: dict[str, Any]) -> dict[str, Any]:
    """Return those of *options* of `HTTPResponse` that the installed version accepts."""
    return {name: options[name] for name in _LATER if name in options}
