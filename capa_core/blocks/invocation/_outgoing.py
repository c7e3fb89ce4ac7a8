"""Checks of outgoing calls: a method's name, an HTTP method, a path, and headers; of those of an answer too.

They are in the way of a caller that passes on text of strangers: a name that leads to another path, a header that
would end the request early, or one that is about the connection, which belongs to the driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from capa_core.call.checks import check_unicode
from capa_core.errors import InvalidArgumentError

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Names of headers that are about one connection and not about the request (RFC 9110, section 7.6.1), in lower case."""

_VERB = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(r"/[!\"$-~]*")
#: Names and values in turn, each on a line of its own.
_HEADERS = re.compile(r"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+\n[\t -~\x80-\U0010ffff]*\n)*")


def path_of(method: str, caller: str) -> str:
    """Return the path of the registered name *method*, percent-encoded.

    Raises:
        InvalidArgumentError: It would lead elsewhere: it has a `?`, a `#`, or a segment `.` or `..`.
    """
    segments = method.split("/")
    if "?" in method or "#" in method or ".." in segments or "." in segments:
        raise InvalidArgumentError(
            f"{caller}: {method!r} is no name of a method: it has '?', '#' or a segment '.' or '..'. Give the"
            " registered name; `request` sends a path with a query"
        )
    check_unicode(f"{caller}: the method", method)
    return quote(method if method.startswith("/") else f"/{method}", safe="/&=:@!$'()*+,;~-._")


def check_target(verb: str, path: str, caller: str) -> None:
    """Check that *verb* and *path* can stand in the first line of a request.

    Raises:
        InvalidArgumentError: They cannot.
    """
    if not path.startswith("/"):
        raise InvalidArgumentError(f"{caller}: path {path!r} must begin with '/'")
    if _PATH.fullmatch(path) is None:
        raise InvalidArgumentError(
            f"{caller}: path {path!r} has a character that cannot be sent, or a fragment. Percent-encode it"
        )
    if _VERB.fullmatch(verb) is None:
        raise InvalidArgumentError(f"{caller}: {verb!r} is no HTTP method. Give one such as GET")


def pairs_of(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return *headers* as pairs of a name and a value."""
    return tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers)


def checked_pairs(
    pairs: tuple[tuple[str, str], ...], body_bytes: int, caller: str
) -> tuple[tuple[str, str], ...]:
    """Return *pairs*, which are headers.

    Raises:
        InvalidArgumentError: One cannot be sent, is about the connection, or contradicts the length of the body.
    """
    if not pairs:
        return pairs
    check_text(pairs, caller)
    for name, value in pairs:
        lower = name.lower()
        if lower in HOP_BY_HOP:
            raise InvalidArgumentError(
                f"{caller}: the header {name!r} is about the connection, which belongs to the component. Leave it out"
            )
        if lower == "content-length" and value != str(body_bytes):
            raise InvalidArgumentError(
                f"{caller}: Content-Length is {value!r} and the body has {body_bytes} bytes. Leave the header out"
            )
    return pairs


def check_text(pairs: Sequence[tuple[str, str]], caller: str) -> None:
    """Check that *pairs* are names and values as headers have them.

    Raises:
        InvalidArgumentError: They are not.
    """
    try:
        text = "".join([f"{name}\n{value}\n" for name, value in pairs if type(value) is str])
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(f"{caller}: headers are pairs of a name and a value: {error}") from error
    if text.count("\n") != 2 * len(pairs) or _HEADERS.fullmatch(text) is None:
        raise InvalidArgumentError(
            f"{caller}: a header has a name or a value that cannot be sent: {', '.join(map(_shown, pairs))}."
            " Give text without control characters"
        )


def _shown(pair: tuple[str, str]) -> str:
    """Return the name of a header; the value may be a secret."""
    return repr(pair[0])
