"""The values of the pub/sub block: received messages, drafts for a batch, and the results of publishing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from capa_core.blocks.pubsub._reason import reason_of
from capa_core.blocks.pubsub.driver import Delivery
from capa_core.call.body import loads
from capa_core.errors import CapaError


@dataclass(slots=True, eq=False)
class Message:
    """One message as a consumer received it.

    Attributes:
        id: As published: of the event inside an envelope, else of the message.
        topic: Where it was received.
        data: The body, exactly as published.
        content_type: The type of the body, such as `application/json`.
        attributes: Names to values beside the body, the trace context and the fields of the envelope included.
        key: As published.
        priority: As published.
        delivery_count: 1 the first time; approximate where the engine only says "again".
        published_at: Seconds since the epoch; 0 when unknown.
        expires_at: Seconds since the epoch by the publisher's clock, if it was published with a `ttl`; else `None`.
        delivery: The engine's handle, for the consumer that received it.
    """

    id: str
    topic: str
    data: bytes
    content_type: str
    attributes: Mapping[str, str]
    key: str
    priority: int
    delivery_count: int
    published_at: float
    delivery: Delivery = field(repr=False)
    expires_at: float | None = None

    @property
    def traceparent(self) -> str:
        """The W3C trace parent it was published under, or `""`."""
        return self.attributes.get("traceparent", "")

    @property
    def text(self) -> str:
        """The body as UTF-8 text.

        Raises:
            UnicodeDecodeError: It is something else.
        """
        return self.data.decode()

    def failed(self, error: BaseException | str) -> None:
        """Note why handling failed, before a `nack`: the reason of the dead letter that the message may become.

        The type and the first line are kept, 300 characters at most, without possible credentials. A
        subscription does it for errors of its handler.

        Args:
            error: The error, or its type and text where it happened in another process.
        """
        self.delivery.reason = reason_of(error)

    def json(self) -> Any:
        """Return the body read as JSON.

        Raises:
            ValueError: It is something else, or nested too deeply to be read.
        """
        return loads(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One message of `PubSub.publish_many`; the fields are the arguments of `PubSub.publish`."""

    data: Any
    content_type: str | None = None
    attributes: Mapping[str, str] | None = None
    key: str = ""
    priority: int = 0
    delay: timedelta | float = 0.0
    ttl: timedelta | float | None = None
    id: str | None = None
    once_within: timedelta | float = 0.0


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result for one message of a batch: *error* is `None` if it is stored, as durably as the engine can.

    Attributes:
        duplicate: Whether it was stored before, by another call or an earlier attempt of this one (`once_within`).
    """

    id: str
    error: CapaError | None = None
    duplicate: bool = False

    @property
    def ok(self) -> bool:
        """Whether the message is stored."""
        return self.error is None
