"""Reasons of dead letters: short, on one line, and without possible credentials."""

from __future__ import annotations

import re

LONGEST = 300
UNSETTLED = "its consumers ended or lost their leases before they settled it"
REJECTED = "its consumers rejected it"

_HIDDEN = "***"
_IN_ADDRESS = re.compile(r"(?<=://)[^\s/@]+(?=@)")
_NAMED = re.compile(
    r"(?i)\b([\w.-]*(?:password|passwd|pwd|secret|token|api[_-]?key|authorization|credential)s?[\"']?\s*[:=]\s*)"
    r"(?:(?:bearer|basic)\s+)?(\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
)


def reason_of(error: BaseException | str) -> str:
    """Return the type and the first line of *error*, or the first line of a text, 300 characters at most.

    Credentials in addresses, and values that are named as a password, secret, token or key, are left out.
    """
    lines = _said(error).strip().splitlines()
    named = [] if isinstance(error, str) else [type(error).__name__]
    said = ": ".join([*named, *lines[:1]])
    said = _NAMED.sub(rf"\1{_HIDDEN}", _IN_ADDRESS.sub(_HIDDEN, said[: 10 * LONGEST]))
    said = "".join(one if one.isprintable() else " " for one in said)
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _said(error: BaseException | str) -> str:
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001 - the error of a stranger: its message must come back all the same
        return f"its text cannot be had: {type(failure).__name__}"
