"""Arguments of queues: those that Capa serves, those without a meaning here, and those that it refuses.

Of kombu's transports only the ones to RabbitMQ look at them. An argument that cannot be served is refused where the
application was written for RabbitMQ; elsewhere it had no effect, and has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from capa_core.shims import not_served
from capa_kombu._sdk import SDK
from capa_kombu.over_pubsub._errors import invalid_argument

EXPIRES, TTL = "x-expires", "x-message-ttl"
DEAD_EXCHANGE, DEAD_KEY = "x-dead-letter-exchange", "x-dead-letter-routing-key"
_SERVED = frozenset({EXPIRES, TTL, DEAD_EXCHANGE, DEAD_KEY, "x-max-priority"})
_LIMITS: dict[str, tuple[float, float]] = {EXPIRES: (1, inf), TTL: (0, inf), "x-max-priority": (1, 255)}
"""The least and the largest value of each argument that is a whole number, as in RabbitMQ."""
_OF_THE_SERVER = frozenset(
    {"x-queue-type", "x-queue-mode", "x-queue-version", "x-queue-leader-locator", "x-queue-master-locator"}
)
"""How RabbitMQ stores a queue: nothing that an application can see."""
_AMQP = frozenset({"", "amqp", "amqps", "pyamqp", "librabbitmq", "capa"})


def is_amqp(scheme: str) -> bool:
    """Return whether an application with addresses of *scheme* was written for RabbitMQ, or for Capa itself."""
    return scheme in _AMQP


def served(queue: str, arguments: Mapping[str, Any] | None, scheme: str) -> dict[str, Any]:
    """Return those of the *arguments* of *queue* that have an effect here.

    Raises:
        UnsupportedError: One of them has an effect in RabbitMQ that Capa does not have.
        ChannelError: (kombu's) one of them has a value that RabbitMQ does not take.
    """
    if not is_amqp(scheme):
        taken = {name: value for name, value in (arguments or {}).items() if name in {EXPIRES, TTL}}
        return {name: value for name, value in taken.items() if _is_valid(name, value)}
    given = {name: value for name, value in (arguments or {}).items() if value is not None}
    for name in sorted(given.keys() - _SERVED - _OF_THE_SERVER):
        raise not_served(
            SDK,
            f"The argument {name!r} of queue {queue!r}",
            instead="Declare the queue without it.",
            section="queue-arguments",
        )
    if DEAD_EXCHANGE in given and TTL in given:
        raise not_served(
            SDK,
            f"A dead letter exchange for messages of queue {queue!r} that expire",
            instead="Publish with a delay: `PubSub.publish(…, delay=…)`.",
            section="queue-arguments",
        )
    for name, value in given.items():
        if not _is_valid(name, value):
            raise invalid_argument(queue, name, value)
    return {name: value for name, value in given.items() if name in _SERVED}


def _is_valid(name: str, value: Any) -> bool:
    if name not in _LIMITS:
        return name not in (DEAD_EXCHANGE, DEAD_KEY) or isinstance(value, str)
    least, largest = _LIMITS[name]
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= largest


def ttl_s(arguments: Mapping[str, Any], expiration: Any) -> float | None:
    """Return the seconds after which a message with *expiration*, in milliseconds, is dropped; `None` for never."""
    limits = [float(each) / 1000 for each in (arguments.get(TTL), expiration) if each not in (None, "")]
    return max(0.001, min(limits)) if limits else None
