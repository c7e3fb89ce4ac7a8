"""Answers of Apollo: their errors, and their JSON."""

from __future__ import annotations

import json
from typing import Any

from capa_core.errors import (
    CapaError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
)
from capa_core.http import Answer

MOST_BYTES = 64 * 1024 * 1024
"""The longest answer that is read; the largest namespace is far below it."""

_ERRORS: dict[int, type[CapaError]] = {
    400: InvalidArgumentError,
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    429: UnavailableError,
}


def parsed(answer: Answer, place: str, *, hint: str) -> Any:
    """Return the JSON of a good answer; `None` for one without a body.

    Args:
        place: The address and the path, for messages.
        hint: The next step after an answer that the server gives to strangers.

    Raises:
        PermissionDeniedError: The server refuses the access key or token.
        NotFoundError: It has no such thing.
        InvalidArgumentError: It refuses the request; the message holds its own.
        UnavailableError: It failed, or the answer is no JSON, such as the page of a proxy.
    """
    if answer.status >= 400:
        raise _error(answer, place, hint)
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        what = "an HTML page" if answer.kind == "text/html" else f"{len(answer.body)} bytes that are no JSON"
        raise UnavailableError(
            f"{place} answered with {what}: a proxy or another server may listen there ({error})"
        ) from error


def malformed(place: str) -> UnavailableError:
    """Return the error for JSON that is not what Apollo sends."""
    return UnavailableError(
        f"{place} answered with JSON that is not Apollo's: another server may listen there"
    )


def _error(answer: Answer, place: str, hint: str) -> CapaError:
    kind = UnavailableError if answer.status >= 500 else _ERRORS.get(answer.status, UnknownError)
    said = f": {message}" if (message := _message(answer)) else ""
    more = f". {hint}" if kind is PermissionDeniedError else ""
    return kind(f"{place} answered with status {answer.status}{said}{more}")


def _message(answer: Answer) -> str:
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    return str(body.get("message") or "") if isinstance(body, dict) else ""
