"""Messages as SQS has them: a text, and attributes beside it.

The body is the text itself where it can be one, so that other programs can read it; else it is the binary attribute
`capa-data`, or an object in S3. What is not the body is one attribute, `capa`, since there may be ten in all.
"""

from __future__ import annotations

import json
import re
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage

LONGEST_DELAY_S = 900
_META, _DATA = "capa", "capa-data"
_STAND_IN = "-"  # a body may not be empty
_NONE, _BASE64 = "none", "base64"
_NOT_TEXT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN_ID = re.compile(r"[A-Za-z0-9!-/:-@\[-`{-~]{1,128}")
SYSTEM_ATTRIBUTES = (
    "ApproximateReceiveCount",
    "SentTimestamp",
    "ApproximateFirstReceiveTimestamp",
    "MessageGroupId",
)


@dataclass(slots=True)
class Entry:
    """One message of a request.

    Attributes:
        size: Its bytes as SQS counts them.
    """

    request: dict[str, Any]
    size: int


@dataclass(slots=True, eq=False)
class Pulled:
    """One delivery, and its own receipt.

    Attributes:
        wait_s: Seconds that it has to wait yet, longer than SQS itself delays.
        until: The end of its lease, and *since* its begin: the boot clock's.
        deliveries: The number of this delivery.
        stored: The key of the object that is its body; `""` for none.
    """

    message: OutgoingMessage
    handle: str
    deliveries: int
    published_at: float
    wait_s: float = 0.0
    stored: str = ""
    since: float = 0.0
    until: float = 0.0

    def delivery(self) -> Delivery:
        """Return it as the core receives it."""
        message = self.message
        return Delivery(
            message.id,
            message.data,
            message.content_type,
            message.attributes,
            self,
            self.deliveries,
            key=message.key,
            published_at=self.published_at,
        )


@dataclass(slots=True, kw_only=True)
class Carried:
    """The companions of a message on its way, beside its own fields.

    Attributes:
        wait_s: Seconds that it waits in its queue, of which SQS counts the first by itself.
        earlier: Its deliveries before.
        published_at: Of a copy; `None` for now.
        copied: Which copy it is, for a queue that takes an id once.
    """

    wait_s: float = 0.0
    earlier: int = 0
    published_at: float | None = None
    stored: str = ""
    copied: str = ""


def entry(message: OutgoingMessage, carried: Carried, *, fifo: bool = False, as_text: bool = False) -> Entry:
    """Return *message* for a request.

    Args:
        as_text: Have no binary attribute: those pass through SNS itself, and not through its emulator.
    """
    meta: dict[str, Any] = {"id": message.id, "type": message.content_type}
    optional = {
        "attributes": dict(message.attributes),
        "key": message.key,
        "wait": carried.wait_s,
        "earlier": carried.earlier,
        "at": carried.published_at,
        "s3": carried.stored,
    }
    meta |= {name: value for name, value in optional.items() if value}
    attributes: dict[str, Any] = {}
    body = _STAND_IN
    if carried.stored or not message.data:
        meta["body"] = _NONE
    elif text := _text(message.data):
        body = text
    elif as_text:
        meta["body"], body = _BASE64, b64encode(message.data).decode()
    else:
        attributes[_DATA] = {"DataType": "Binary", "BinaryValue": message.data}
    attributes[_META] = {"DataType": "String", "StringValue": json.dumps(meta, separators=(",", ":"))}
    request: dict[str, Any] = {"MessageBody": body, "MessageAttributes": attributes}
    if fifo:
        request |= _ordered(message, carried)
    elif carried.wait_s >= 1:
        request["DelaySeconds"] = min(LONGEST_DELAY_S, int(carried.wait_s))
    return Entry(request, _size(body, attributes))


def pulled(raw: Mapping[str, Any], fetched_at: float) -> Pulled:
    """Return the delivery that *raw* is, of this component or of another program."""
    own = raw.get("MessageAttributes", {})
    told = raw.get("Attributes", {})
    meta = _meta(own.get(_META, {}).get("StringValue"))
    attributes = meta.get("attributes") if meta else _foreign(own)
    message = OutgoingMessage(
        meta.get("id") or raw["MessageId"],
        _data(raw, own, meta),
        meta.get("type") or "text/plain",
        attributes or {},
        meta.get("key") or "",
    )
    sent_ms, first_ms = (
        _number(told.get(name)) for name in ("SentTimestamp", "ApproximateFirstReceiveTimestamp")
    )
    count = max(1, int(_number(told.get("ApproximateReceiveCount"))))
    # Both are AWS's own clock: how long it lay there before anybody saw it.
    wait_s = _number(meta.get("wait")) - max(0.0, first_ms - sent_ms) / 1000
    return Pulled(
        message,
        raw["ReceiptHandle"],
        count + int(_number(meta.get("earlier"))),
        _number(meta.get("at")) or sent_ms / 1000 or fetched_at,
        wait_s=wait_s
        if count == 1 or wait_s >= 1
        else 0.0,  # what comes again has waited for a part of a second
        stored=str(meta.get("s3") or ""),
    )


def again(one: Pulled, *, wait_s: float, spent: int, fifo: bool = False) -> Entry:
    """Return a copy of *one* for a request, which has to wait for *wait_s*, or for as long as *one* has yet.

    Args:
        spent: 1 to count the present delivery, 0 for not.
    """
    carried = Carried(
        wait_s=max(wait_s, one.wait_s),
        earlier=one.deliveries - 1 + spent,
        published_at=one.published_at,
        stored=one.stored,
        copied=str(time.time_ns()),
    )
    return entry(one.message, carried, fifo=fifo)


def _ordered(message: OutgoingMessage, carried: Carried) -> dict[str, str]:
    """Return what orders *message* and tells its repeats in a FIFO queue; one without a key is ordered by none."""
    return {
        "MessageGroupId": _plain(f"k{message.key}" if message.key else f"i{message.id}"),
        "MessageDeduplicationId": _plain(message.id + carried.copied),
    }


def _plain(text: str) -> str:
    return text if _PLAIN_ID.fullmatch(text) else sha256(text.encode(errors="surrogatepass")).hexdigest()


def _text(data: bytes) -> str | None:
    """Return *data* as a body, `None` if SQS takes none such."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if not text or _NOT_TEXT.search(text) else text


def _size(body: str, attributes: Mapping[str, Any]) -> int:
    size = len(body) if body.isascii() else len(body.encode())
    for name, value in attributes.items():
        size += len(name) + len(value["DataType"]) + len(value.get("BinaryValue") or value["StringValue"])
    return size


def _data(raw: Mapping[str, Any], own: Mapping[str, Any], meta: Mapping[str, Any]) -> bytes:
    body = str(raw.get("Body", "")).encode(errors="surrogatepass")
    if meta.get("body") == _NONE:
        return b""
    if meta.get("body") == _BASE64:
        return _decoded(body)
    binary = own.get(_DATA, {}).get("BinaryValue") if meta else None
    return binary if isinstance(binary, bytes) else body


def _decoded(body: bytes) -> bytes:
    try:
        return b64decode(body, validate=True)
    except ValueError:
        return body


def _meta(text: object) -> Mapping[str, Any]:
    """Return what this component wrote beside a body; nothing where another program wrote something else."""
    if not isinstance(text, str):
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    is_ours = isinstance(found, dict) and isinstance(found.get("id"), str)
    return found if is_ours and _is_texts(found.get("attributes", {})) else {}


def _is_texts(found: object) -> bool:
    return isinstance(found, dict) and all(isinstance(value, str) for value in found.values())


def _foreign(own: Mapping[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in own.items() if "StringValue" in value}


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
    return number if abs(number) < 1e15 else 0.0  # also not one that is none
