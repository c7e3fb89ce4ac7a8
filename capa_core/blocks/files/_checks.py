"""Checks of keys, content types and metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping

from capa_core.blocks.files.driver import LARGEST_METADATA_BYTES, LONGEST_KEY_BYTES, MOST_METADATA
from capa_core.call.checks import check_text, check_unicode
from capa_core.errors import InvalidArgumentError

_LONGEST_TYPE = 128
_TYPE = re.compile(r"[!-.0-~]+/[!-~]+(?:[!-~ ]*[!-~])?")
# No underscore: servers before the engine drop headers with one.
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")


def check_key(key: object, subject: str = "a key") -> None:
    """Check that *key* is 1 to 768 bytes of UTF-8.

    Raises:
        InvalidArgumentError: It is something else.
    """
    check_text(subject, key, LONGEST_KEY_BYTES)
    check_prefix(key, subject)


def check_prefix(prefix: object, subject: str = "a prefix") -> None:
    """Check that *prefix* is text of at most 768 bytes of UTF-8, or empty.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(prefix, str):
        raise InvalidArgumentError(f"{subject} is of type {type(prefix).__name__}: give text")
    check_unicode(subject, prefix)
    if (size := len(prefix.encode())) > LONGEST_KEY_BYTES:
        raise InvalidArgumentError(
            f"{subject} has {size} bytes of UTF-8: give at most {LONGEST_KEY_BYTES}. It begins with {prefix[:40]!r}."
        )


def check_content_type(content_type: object) -> None:
    """Check that *content_type* is such as `text/plain; charset=utf-8`.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if (
        not isinstance(content_type, str)
        or len(content_type) > _LONGEST_TYPE
        or not _TYPE.fullmatch(content_type)
    ):
        raise InvalidArgumentError(
            f"content_type is {content_type!r}: give a media type such as 'text/plain; charset=utf-8', in at most"
            f" {_LONGEST_TYPE} printable characters of ASCII"
        )


def checked_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    """Return a copy of *metadata*.

    Raises:
        InvalidArgumentError: A name or value is not accepted, or there are too many.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise InvalidArgumentError(f"metadata is of type {type(metadata).__name__}: give names with values")
    for name, value in metadata.items():
        _check_item(name, value)
    size = sum(len(name) + len(value.encode()) for name, value in metadata.items())
    if len(metadata) > MOST_METADATA or size > LARGEST_METADATA_BYTES:
        raise InvalidArgumentError(
            f"the metadata have {len(metadata)} names and {size:,} bytes: give at most {MOST_METADATA} names and"
            f" {LARGEST_METADATA_BYTES:,} bytes, names and values together in UTF-8"
        )
    return dict(metadata)


def _check_item(name: object, value: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"a name of metadata is {name!r}: give 1 to 64 of a-z, 0-9, '-' and '.', a letter or digit first"
        )
    if not isinstance(value, str):
        raise InvalidArgumentError(f"the metadata {name!r} is of type {type(value).__name__}: give text")
    check_unicode(f"the metadata {name!r},", value)
