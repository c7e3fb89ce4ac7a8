"""The task messages that wait in a broker of Celery's, as Capa would publish them: for `capa migrate drain`."""

from __future__ import annotations

import hashlib
from typing import Any

from celery.exceptions import InvalidTaskError
from celery.utils.time import maybe_iso8601
from kombu.exceptions import ContentDisallowed

from capa_celery import _codec
from capa_celery._sender import CONTENT_TYPE
from capa_celery._times import delay_and_ttl, seconds_until
from capa_celery._worker._checks import check_fields, check_task_message
from capa_core.errors import InvalidArgumentError
from capa_core.shims.backlog import WaitingMessage
from capa_kombu.over_pubsub import engine_priority

_TIMES = ("eta", "expires")
_OF_CHORD = "part of a chord, which is counted in the result backend of the old workers"


def read(data: bytes, known_as: str, scheme: str) -> WaitingMessage:
    """Return a message of a broker of *scheme* as it goes on, its bytes unchanged: Capa publishes kombu's envelope too.

    Args:
        known_as: The id that the message has beside its bytes; `""` for none.

    Raises:
        InvalidArgumentError: No worker could run it; the text says why.
    """
    try:
        envelope = _codec.decode(data)
        fields, chord = _fields_and_chord(envelope)
        ident = _ident(envelope, fields, known_as)
    except Exception as error:
        # Codecs raise all kinds, and whoever can publish chooses the bytes.
        raise InvalidArgumentError(str(error) or type(error).__name__) from error
    times = {name: fields[name] for name in _TIMES if _has_zone(fields.get(name))}
    delay_s, ttl_s = delay_and_ttl(times, None)
    return WaitingMessage(
        label=f"{fields['task']}[{fields['id']}]",
        id=ident,
        data=data,
        content_type=CONTENT_TYPE,
        priority=engine_priority(envelope.properties.get("priority"), scheme),
        delay_s=delay_s,
        ttl_s=ttl_s,
        is_expired="expires" in times and seconds_until(times["expires"], None) <= 0,
        bound_by=_OF_CHORD if chord else "",
    )


def _fields_and_chord(envelope: _codec.Envelope) -> tuple[dict[str, Any], Any]:
    """Return the fields of a checked task, and what is true if it is, or may be, of the header of a chord.

    Raises:
        InvalidTaskError: (celery's) No worker could run it.
    """
    headers: Any = envelope.headers  # any JSON, until it is checked
    properties = envelope.properties
    is_first_protocol = isinstance(headers, dict) and "task" not in headers
    try:
        body = _codec.unpack_body(envelope, None)
    except ContentDisallowed:
        # As pickle: the workers may read it, and nobody else should. Only a member of a group can be of a chord.
        check_fields(headers, properties)
        return headers, headers.get("group")
    if is_first_protocol:
        if not isinstance(body, dict):
            raise InvalidTaskError("not a task message: neither its headers nor its body name a task")
        check_fields(body, properties)
        return body, body.get("chord")
    _, _, embed = check_task_message(headers, properties, body)
    return headers, (embed or {}).get("chord")


def _has_zone(moment: Any) -> bool:
    """Return whether a time names its zone. Others are left to the worker, which has that of the application."""
    return bool(moment) and maybe_iso8601(moment).tzinfo is not None


def _ident(envelope: _codec.Envelope, fields: dict[str, Any], known_as: str) -> str:
    """Return the id of the message: of the tag that its publisher gave it, and of what Celery knows a message by.

    The tag alone is not enough: other publishers than kombu give each message the same.

    Raises:
        InvalidTaskError: (celery's) It has no tag, by which Celery's workers keep it.
    """
    tag = known_as or envelope.properties.get("delivery_tag")
    if not tag:
        raise InvalidTaskError("it has no delivery_tag")
    parts = (tag, fields["id"], fields.get("retries") or 0)
    return "celery-" + hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
