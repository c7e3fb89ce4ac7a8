"""Which versions of requests and urllib3 there must be, and what differs between those of urllib3 2."""

from __future__ import annotations

import inspect
from typing import Any

import requests
import urllib3.response
from requests.adapters import HTTPAdapter
from urllib3._version import __version__ as _urllib3
from urllib3.response import HTTPResponse

_PARAMETERS = frozenset(inspect.signature(HTTPResponse.__init__).parameters)
_LATER = tuple(name for name in ("version_string", "sock_shutdown") if name in _PARAMETERS)


def too_old() -> str | None:
    """Say which versions there are if requests is older than 2.32.3, or urllib3 than 2; `None` if both fit."""
    if hasattr(HTTPAdapter, "build_connection_pool_key_attributes") and hasattr(
        urllib3.response, "BaseHTTPResponse"
    ):
        return None
    return f"requests {requests.__version__} and urllib3 {_urllib3}"


def known(options: dict[str, Any]) -> dict[str, Any]:
    """Return those of *options* of `HTTPResponse` that the installed version takes."""
    return {name: options[name] for name in _LATER if name in options}
