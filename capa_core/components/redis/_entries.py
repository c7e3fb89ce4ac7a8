"""Entries of the streams, read as messages: those of this component, and as far as it goes those of other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from capa_core.blocks.pubsub.driver import attributes_in

PLAIN = "application/octet-stream"
_JSON = "application/json"


class Entry(NamedTuple):
    """The parts of a message in one entry.

    Attributes:
        published_at: Seconds since the epoch.
    """

    id: str
    data: bytes
    content_type: str
    attributes: dict[str, str]
    published_at: float


def entry(ident: bytes, fields: Sequence[bytes]) -> Entry:
    """Return the message in the entry with the id *ident*.

    What another program wrote is not dropped, and must not hold up what is behind it: an entry without a body is the
    JSON object of its fields, and what cannot be read is left out.

    Args:
        fields: Names and values by turns.
    """
    found = dict(zip(fields[::2], fields[1::2], strict=False))
    has_body = b"d" in found
    return Entry(
        _text(found.get(b"i", ident)),
        found[b"d"] if has_body else _as_json(found),
        _text(found.get(b"c", b"")) or (PLAIN if has_body else _JSON),
        attributes_in(_text(found.get(b"a", b""))) or {},
        _time_in(found.get(b"t", b"")) or int(ident.partition(b"-")[0]) / 1000,
    )


def _as_json(found: Mapping[bytes, bytes]) -> bytes:
    return json.dumps({_text(name): _text(value) for name, value in found.items()}).encode()


def _time_in(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _text(value: bytes) -> str:
    return value.decode(errors="replace")
