"""Proxies, CA bundle and netrc logins of the process's environment, found once for each state of it.

The original reads proxies, the CA bundle and netrc again for each request, which costs more than the exchange
with the server. The answers depend on nothing but the variables of the process (and on the netrc file), so
they are kept for as long as those are the same: comparing the variables takes 2 µs.
"""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from typing import Any

import requests.sessions
import requests.utils

#: Elsewhere (Windows, macOS) proxies also come from system settings, which can change without a trace here.
_ONLY_VARIABLES = requests.utils.getproxies is urllib.request.getproxies_environment  # type: ignore[attr-defined]

_MOST_HOSTS = 1024


class Snapshot:
    """The answers that hold while the variables are equal to *variables*."""

    def __init__(self, variables: Mapping[Any, Any]) -> None:
        self.variables = variables
        self.ca_bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        self.has_proxies = bool(urllib.request.getproxies_environment())
        self.proxies: dict[str, dict[str, str]] = {}
        given = os.environ.get("NETRC")
        names = (given,) if given is not None else tuple(f"~/{name}" for name in requests.utils.NETRC_FILES)
        self.netrc_files = tuple(os.path.expanduser(name) for name in names)  # noqa: PTH111 - as the original
        self.netrc_version: tuple[Any, ...] = ()
        self.logins: dict[str, tuple[str, str] | None] = {}


_snapshot: Snapshot | None = None


def present() -> Snapshot | None:
    """Return the answers for the environment as it is now, or `None` when a change would go unseen."""
    global _snapshot  # noqa: PLW0603 - one for the process
    # The mapping below os.environ: reading through os.environ decodes every variable, at 20 times the cost.
    variables = getattr(os.environ, "_data", None)
    if variables is None or not _ONLY_VARIABLES:
        return None
    if _snapshot is None or _snapshot.variables != variables:
        _snapshot = Snapshot(dict(variables))
    return _snapshot


def proxies_for(snapshot: Snapshot | None, url: str, origin: str) -> dict[str, str]:
    """Return the proxies that the environment sets for *url*, as a new dictionary.

    Args:
        snapshot: From `present`, as for the functions below.
        origin: Scheme, host and port of *url*: all of it that matters here.
    """
    if snapshot is None:
        return requests.sessions.get_environ_proxies(url)
    if not snapshot.has_proxies:
        return {}
    known = snapshot.proxies.get(origin)
    if known is None:
        if len(snapshot.proxies) >= _MOST_HOSTS:
            snapshot.proxies.clear()
        known = snapshot.proxies[origin] = requests.sessions.get_environ_proxies(url)
    return dict(known)


def ca_bundle(snapshot: Snapshot | None) -> str | None:
    """Return the CA bundle that the environment names, if it does."""
    if snapshot is None:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return snapshot.ca_bundle


def netrc_auth(snapshot: Snapshot | None, url: str, origin: str) -> tuple[str, str] | None:
    """Return the login that a netrc file has for the host of *url*, as the original finds it.

    Args:
        origin: Scheme, host and port of *url*.
    """
    if snapshot is None:
        return requests.sessions.get_netrc_auth(url)
    for path in snapshot.netrc_files:
        # Mostly there is none, and an exception for that costs as much as all other steps here.
        if not os.access(path, os.F_OK):
            continue
        found = os.stat(path)  # noqa: PTH116 - half the cost
        version = (path, found.st_mtime_ns, found.st_size, found.st_ino)
        return _netrc_login(snapshot, version, url, origin)
    return None


def _netrc_login(
    snapshot: Snapshot, version: tuple[Any, ...], url: str, origin: str
) -> tuple[str, str] | None:
    if snapshot.netrc_version != version or len(snapshot.logins) >= _MOST_HOSTS:
        snapshot.netrc_version, snapshot.logins = version, {}
    logins = snapshot.logins
    if origin not in logins:
        logins[origin] = requests.sessions.get_netrc_auth(url)
    return logins[origin]
