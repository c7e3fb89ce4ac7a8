"""Checks of a received task message, so that no later step fails for one that no worker can run."""

from __future__ import annotations

from typing import Any

from celery.exceptions import InvalidTaskError
from celery.utils.time import maybe_iso8601

LONGEST_ID = 400
"""The key of a result has the id in it, and keys of state are limited."""
_TIMES = ("eta", "expires")
_OBJECTS = ("delivery_info",)


def check_task_message(headers: Any, properties: Any, body: Any) -> tuple[Any, Any, Any]:
    """Return the arguments, keyword arguments and embedded fields of *body*.

    Raises:
        InvalidTaskError: (celery's) A part is not of the kind that Celery's message protocol asks for.
    """
    check_fields(headers, properties)
    return _checked_body(body)


def check_fields(headers: Any, properties: Any) -> None:
    """Check all but the body.

    Raises:
        InvalidTaskError: (celery's) As `check_task_message`.
    """
    _check(isinstance(headers, dict), "its headers are not an object")
    _check(isinstance(properties, dict), "its properties are not an object")
    check_name("task", headers.get("task"))
    check_name("id", headers.get("id"))
    for name in _TIMES:
        _check_time(name, headers.get(name))
    _check_limits(headers.get("timelimit"))
    for name in _OBJECTS:
        _check(isinstance(properties.get(name) or {}, dict), f"its {name} is not an object")
    _check(isinstance(headers.get("retries") or 0, int), "its number of retries is not a number")


def _checked_body(body: Any) -> tuple[Any, Any, Any]:
    _check(
        isinstance(body, list | tuple) and len(body) == 3, "its body is not arguments, keywords and options"
    )
    args, kwargs, embed = body
    _check(isinstance(args, list | tuple), "its arguments are not a list")
    _check(
        isinstance(kwargs, dict) and all(isinstance(name, str) for name in kwargs),
        "its keywords are not an object",
    )
    _check(embed is None or isinstance(embed, dict), "its options are not an object")
    return args, kwargs, embed


def check_name(name: str, value: Any) -> None:
    """Check the name or id of a task.

    Raises:
        InvalidTaskError: (celery's) It is no text, empty, too long or not valid Unicode.
    """
    fine = isinstance(value, str) and 0 < len(value) <= LONGEST_ID
    _check(fine, f"its {name} is not a text of 1 to {LONGEST_ID} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidTaskError(f"its {name} is not valid Unicode") from None


def _check_time(name: str, value: Any) -> None:
    if not value:
        return
    try:
        maybe_iso8601(value).timestamp()
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise InvalidTaskError(f"its {name} is not an ISO 8601 time") from None


def _check_limits(value: Any) -> None:
    fine = not value or (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(limit is None or (isinstance(limit, int | float) and limit >= 0) for limit in value)
    )
    _check(fine, "its timelimit is not two numbers of seconds")


def _check(fine: bool, reason: str) -> None:
    if not fine:
        raise InvalidTaskError(reason)
