"""Composition of messages: from the arguments of `publish` to the messages of a driver."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NoReturn

from capa_core.abilities import How
from capa_core.blocks.pubsub import _cloudevents
from capa_core.blocks.pubsub._checks import Delays, check_priority
from capa_core.blocks.pubsub._compensation import EXPIRES
from capa_core.blocks.pubsub._message import Draft
from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubDriver, PubSubFeature
from capa_core.call import telemetry
from capa_core.call.body import encoded
from capa_core.call.checks import check_encodable, check_unicode, seconds
from capa_core.call.limits import bound, refuse
from capa_core.errors import UnsupportedError

_NO_ATTRIBUTES: Mapping[str, str] = {}


def new_id() -> str:
    """Return a unique id; it takes a quarter of the time of uuid4."""
    return os.urandom(16).hex()


class Composer:
    """Makes the messages of one component."""

    def __init__(self, driver: PubSubDriver[Any], name: str, delays: Delays) -> None:
        self._driver = driver
        self._delays = delays
        self._name = name
        self._source = f"/{name}"
        self._limits = driver.limits
        self._max_bytes = bound(self._limits.max_message_bytes)

    def compose(
        self,
        ident: str,
        data: Any,
        content_type: str | None,
        attributes: Mapping[str, str] | None,
        *,
        raw: bool,
        traced: bool,
    ) -> OutgoingMessage:
        """Return *data* as a message, inside a CloudEvent unless *raw*.

        Raises:
            InvalidArgumentError: *data* has no form in JSON, or an attribute none in a CloudEvent, or the whole is over
                the component's `max_message_bytes`.
        """
        if type(data) is bytes and content_type is not None:
            body, kind = data, content_type
        else:
            body, kind = encoded(data, content_type)
        carried = attributes or _NO_ATTRIBUTES
        if traced:
            context = dict(carried)
            telemetry.inject(context)
            carried = context
        if raw:
            _check_texts(ident, kind, carried)
            message = OutgoingMessage(ident, body, kind, carried)
        else:
            event = _cloudevents.wrap(body, kind, ident=ident, source=self._source, attributes=carried)
            message = OutgoingMessage(ident, event, _cloudevents.CONTENT_TYPE)
        if len(message.data) > self._max_bytes:
            self._refuse(f"the body of message {ident}", len(message.data), "max_message_bytes")
        return message

    def extend(
        self,
        message: OutgoingMessage,
        *,
        key: str,
        priority: int,
        delay: timedelta | float,
        ttl: timedelta | float | None,
        once_within: timedelta | float,
    ) -> OutgoingMessage:
        """Add the fields that few messages have, after checking that the component supports them.

        Raises:
            InvalidArgumentError: One of them is out of range.
            UnsupportedError: The component cannot order by key, has no priorities, or does not know ids again.
        """
        check_priority(priority)
        delay_s = self._delays.seconds("delay", delay, thing=f"the delay of message {message.id}")
        ttl_s = None if ttl is None else seconds("ttl", ttl, least=0.001)
        once_s = seconds("once_within", once_within)
        if key:
            check_unicode("the key of a message", key)
            self._require(PubSubFeature.ORDER_BY_KEY)
        if priority:
            self._require(PubSubFeature.PRIORITY)
        if once_s > self._limits.max_once_s:
            self._refuse_once(message.id, once_s)
        attributes = message.attributes
        if ttl_s is not None:  # engines do not tell how much of it is left
            attributes = {**attributes, EXPIRES: repr(time.time() + ttl_s)}
        return OutgoingMessage(
            message.id, message.data, message.content_type, attributes, key, priority, delay_s, ttl_s, once_s
        )

    def drafted(self, draft: Draft | Any, *, raw: bool, traced: bool) -> OutgoingMessage:
        """Return one message of a batch: a draft, or its data alone.

        Raises:
            InvalidArgumentError: As `compose` and `extend`.
            UnsupportedError: As `extend`.
        """
        if not isinstance(draft, Draft):
            return self.compose(new_id(), draft, None, None, raw=raw, traced=traced)
        ident = draft.id or new_id()
        message = self.compose(
            ident, draft.data, draft.content_type, draft.attributes, raw=raw, traced=traced
        )
        if not (draft.key or draft.priority or draft.delay or draft.ttl is not None or draft.once_within):
            return message
        return self.extend(
            message,
            key=draft.key,
            priority=draft.priority,
            delay=draft.delay,
            ttl=draft.ttl,
            once_within=draft.once_within,
        )

    def _refuse_once(self, ident: str, once_s: float) -> NoReturn:
        if self._limits.max_once_s:
            self._refuse(f"once_within of message {ident}", once_s, "max_once_s")
        raise UnsupportedError(
            f"pubsub {self._name!r}: {type(self._driver).__name__} cannot tell that an id was published before. Leave"
            f" once_within out, or choose a component with max_once_s; `capa doctor` shows the limits of each"
        )

    def _refuse(self, thing: str, given: float, limit: str) -> NoReturn:
        refuse(f"pubsub {self._name!r}", thing, given, self._limits, limit)

    def _require(self, feature: PubSubFeature) -> None:
        support = self._driver.features[feature]
        if support.how is How.ABSENT:
            raise UnsupportedError(
                f"pubsub {self._name!r}: {type(self._driver).__name__} has no {feature}: {support.note}. "
                f"Leave it out, or choose a component that has it"
            )


def _check_texts(ident: str, content_type: str, attributes: Mapping[str, object]) -> None:
    """Check what engines keep as UTF-8 beside the body."""
    if not ident.isascii():
        check_unicode("the id of a message", ident)
    if not content_type.isascii():
        check_unicode("the content type of a message", content_type)
    for name, value in attributes.items():
        if not name.isascii():
            check_unicode("the name of an attribute", name)
        if not isinstance(value, str) or not value.isascii():
            check_encodable(f"the attribute {name!r}", value)
