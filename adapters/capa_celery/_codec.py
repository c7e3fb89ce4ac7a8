"""The bytes of a task message: Celery's headers, properties and body in kombu's JSON envelope.

The envelope is the one that kombu puts on Redis: `body`, `content-type`, `content-encoding`, `headers`,
`properties`. Text bodies are kept as text and binary ones as base64, as `properties.body_encoding` states.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from celery.exceptions import InvalidTaskError
from kombu import compression, serialization
from kombu.utils import json as kombu_json

JSON = "application/json"
# How kombu's JSON marks a value that JSON has no type for; its absence makes the plain parser right, and faster.
MARK, TEXT_MARK = b'"__type__"', '"__type__"'


@dataclass(slots=True)
class Envelope:
    """The parts of a task message; all but the body are decoded."""

    headers: dict[str, Any]
    properties: dict[str, Any]
    body: str | bytes
    content_type: str
    content_encoding: str


def pack_body(body: object, serializer: str | None, compressor: str | None) -> tuple[Envelope, str | None]:
    """Return *body* serialised in an envelope without headers, and the compression's content type if one was used.

    Raises:
        kombu.exceptions.EncodeError: The serializer cannot hold a value of the body.
    """
    content_type, encoding, data = serialization.dumps(body, serializer)
    used = None
    if compressor:
        data, used = compression.compress(data.encode() if isinstance(data, str) else data, compressor)
    return Envelope({}, {}, data, content_type, encoding), used


def encode(envelope: Envelope) -> bytes:
    """Return the envelope as the component stores it."""
    properties, body = envelope.properties, envelope.body
    if isinstance(body, bytes):
        properties = {**properties, "body_encoding": "base64"}
        body = b64encode(body).decode("ascii")
    fields = {
        "body": body,
        "content-type": envelope.content_type,
        "content-encoding": envelope.content_encoding,
        "headers": envelope.headers,
        "properties": properties,
    }
    try:
        return json.dumps(fields).encode("ascii")
    except TypeError:  # a header of a type that only kombu's encoder knows, such as a datetime
        return str(kombu_json.dumps(fields)).encode()


def decode(data: bytes) -> Envelope:
    """Return the parts of a message that `encode`, or kombu, wrote.

    Raises:
        InvalidTaskError: (celery's) It is not such a message.
    """
    try:
        fields = kombu_json.loads(data) if MARK in data else json.loads(data)
    except ValueError as error:
        raise InvalidTaskError("not a task message: it is not JSON") from error
    try:
        properties = fields["properties"]
        body = fields["body"]
        if properties.get("body_encoding") == "base64":
            body = b64decode(body)
        return Envelope(
            fields["headers"], properties, body, fields["content-type"], fields["content-encoding"]
        )
    except KeyError as error:
        raise InvalidTaskError(f"not a task message: it has no {error.args[0]}") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InvalidTaskError(
            "not a task message: it is not a JSON object with headers, properties and a body"
        ) from error


def unpack_body(envelope: Envelope, accept: set[str] | None) -> Any:
    """Return the body as Python values.

    Args:
        accept: Content types that may be decoded, as `prepare_accept_content` gives them; `None` for those that
            kombu holds safe, which are JSON and text.

    Raises:
        kombu.exceptions.ContentDisallowed: The content type is not in *accept*.
        kombu.exceptions.DecodeError: The body does not fit its content type.
    """
    body = envelope.body
    used = envelope.headers.get("compression")
    if used:
        body = compression.decompress(body, used)
    plain = envelope.content_type == JSON and isinstance(body, str) and TEXT_MARK not in body
    if plain and (accept is None or JSON in accept):
        return json.loads(body)
    return serialization.loads(body, envelope.content_type, envelope.content_encoding, accept=accept)
