"""Plain URLs, which no step of preparing changes.

Most URLs of an application are plain: lower-case scheme and host, no user, no fragment, only characters that
need no quoting. For these one regular expression replaces the three parsers that the original runs. All others
go through the original.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

_PCHAR = r"A-Za-z0-9\-._~!$&'()*+,;=:@"
_PLAIN = re.compile(
    rf"(?P<origin>(?P<scheme>https?)://(?P<host>[a-z0-9][a-z0-9\-.]*)(?::(?P<port>[1-9]\d{{0,4}}))?)"
    rf"(?P<path>/[{_PCHAR}/]*)?(?P<query>(?(path)\?[{_PCHAR}/?]+|(?!)))?",
    re.ASCII,
)
#: The output of `urlencode`: percent escapes in it are those of reserved characters, in upper case.
_PLAIN_PARAMS = re.compile(r"[A-Za-z0-9\-._~&=+]*(?:%[0-9A-F]{2}[A-Za-z0-9\-._~&=+]*)*", re.ASCII)
#: A request target that urllib3 sends as it is.
_SENDABLE = re.compile(rf"/(?:[{_PCHAR}/?]|%[0-9A-F]{{2}})*", re.ASCII)


class Plain(NamedTuple):
    """A URL that preparing leaves as it is, and its scheme, host and port."""

    url: str
    origin: str


class Address(NamedTuple):
    """The destination of a prepared URL; *port* is that of the scheme if the URL has none."""

    scheme: str
    host: str
    port: int
    target: str


_PORTS = {"http": 80, "https": 443}


#: The last plain URL and its destination: it is asked for in the same call.
_last: tuple[str, Address] | None = None


def plain(url: str) -> Plain | None:
    """Return *url* as preparing would leave it, if it is plain."""
    global _last  # noqa: PLW0603 - one assignment, so that threads see a whole pair
    found = _PLAIN.fullmatch(url)
    if found is None:
        return None
    origin, scheme, port, path = found["origin"], found["scheme"], found["port"], found["path"]
    if "/." in url or (port and int(port) > 65535):  # segments to resolve; a port to refuse
        return None
    whole = url if path else f"{url}/"
    target = whole[len(origin) :]
    _last = (whole, Address(scheme, found["host"], int(port) if port else _PORTS[scheme], target))
    return Plain(whole, origin)


def with_params(url: str, encoded: str) -> str | None:
    """Return the plain *url* with *encoded* added to its query, if that leaves it plain."""
    if not encoded:
        return url
    if not _PLAIN_PARAMS.fullmatch(encoded):
        return None
    return f"{url}&{encoded}" if "?" in url else f"{url}?{encoded}"


def address(url: str) -> Address | None:
    """Return the destination of the prepared *url*, if its target can be sent as it is."""
    last = _last
    if last is not None and last[0] is url:
        return last[1]
    found = _LEADING.match(url)
    if found is None:
        return None
    target = url[found.end() :]
    if "#" in target:
        target = target[: target.index("#")]
    if target.find("?") == len(target) - 1:  # an empty query is not sent
        target = target[:-1]
    if not _SENDABLE.fullmatch(target):
        return None
    scheme, port = found["scheme"], found["port"]
    return Address(scheme, found["host"], int(port) if port else _PORTS[scheme], target)


def unusual_address(url: str) -> Address | None:
    """Return the destination of a prepared *url* that `address` does not read; `None` if the original must judge it.

    Such are those with `_` or an IPv6 address for a host, and those that a program has set after preparing.
    """
    try:
        parts = parse_url(url)
    except LocationParseError:
        return None
    if parts.host is None or parts.scheme not in _PORTS:
        return None
    return Address(
        parts.scheme, parts.host.strip("[]"), parts.port or _PORTS[parts.scheme], parts.request_uri
    )


def origin(url: str) -> str:
    """Return scheme, host and port of a plain *url*."""
    return url[: url.index("/", 8)]


_LEADING = re.compile(
    r"(?P<scheme>https?)://(?:[^/?#@]*@)?(?P<host>[a-z0-9][a-z0-9\-.]*)(?::(?P<port>[1-9]\d{0,4}))?(?=/)",
    re.ASCII,
)
