"""Keys and metadata in the form in which S3 keeps them."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import Any

from capa_core.blocks.files.driver import DEFAULT_CONTENT_TYPE, FileEntry, FileInfo

NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
"""Characters that a request in XML cannot carry."""

_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
_ENCODED = re.compile(r"=\?.*\?=", re.DOTALL)
_ETAG = re.compile(r"[!#-~]+")


def stored_key(key: str) -> str:
    """Return *key* without `.` and `..` as parts, which S3 and what is before it take for folders."""
    return "/".join(map(_stored_part, key.split("/"))) if "." in key or "=" in key else key


def own_key(stored: str) -> str:
    """Return the key that is stored under this name."""
    return "/".join(map(_own_part, stored.split("/"))) if "=" in stored else stored


def is_etag(etag: str) -> bool:
    """Return whether *etag* may be one of S3: others are those of no file."""
    return bool(_ETAG.fullmatch(etag))


def stored_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the values as headers can carry them: by RFC 2047, as AWS itself does, where they are no plain ASCII."""
    return {name: _stored_value(value) for name, value in metadata.items()}


def entry(key: str, listed: Mapping[str, Any]) -> FileEntry:
    """Return a file for a listing."""
    return FileEntry(
        key=key, size=listed["Size"], etag=listed["ETag"].strip('"'), modified_at=listed["LastModified"]
    )


def info(key: str, answer: Mapping[str, Any]) -> FileInfo:
    """Return the file that an answer to a GET or HEAD is about."""
    whole = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return FileInfo(
        key=key,
        size=int(whole) if whole.isdecimal() else answer["ContentLength"],
        etag=answer["ETag"].strip('"'),
        modified_at=answer["LastModified"],
        content_type=answer.get("ContentType", DEFAULT_CONTENT_TYPE),
        metadata={name.lower(): _own_value(value) for name, value in answer.get("Metadata", {}).items()},
    )


def _stored_part(part: str) -> str:
    if part in (".", ".."):
        return part.replace(".", "=2E")
    return f"=3D{part[1:]}" if part.startswith(("=2E", "=3D")) else part


def _own_part(part: str) -> str:
    if part in ("=2E", "=2E=2E"):
        return part.replace("=2E", ".")
    return f"={part[3:]}" if part.startswith("=3D") else part


def _stored_value(value: str) -> str:
    if _PLAIN.fullmatch(value) and not _ENCODED.fullmatch(value):
        return value
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="


def _own_value(value: str) -> str:
    if not _ENCODED.fullmatch(value):
        return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError):  # another program's, and no such text
        return value
