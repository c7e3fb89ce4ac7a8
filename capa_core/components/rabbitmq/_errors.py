"""Translation of pika's errors, and of the codes of AMQP 0-9-1 in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pika
from pika import exceptions

from capa_core.errors import (
    CapaError,
    ConflictError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)

NOT_FOUND, LOCKED, DIFFERENT = 404, 405, 406
_DENIED, _NO_HOST = 403, 530
OLDEST = (3, 10)
"""The first version whose quorum queues have messages that expire, and dead-lettering that loses none."""

# https://www.rabbitmq.com/amqp-0-9-1-reference.html#constants
_BY_CODE: dict[int, type[CapaError]] = {
    311: InvalidArgumentError,  # the message is too large
    320: UnavailableError,  # an operator closed the connection, or the broker shuts down
    _DENIED: PermissionDeniedError,
    NOT_FOUND: NotFoundError,
    LOCKED: ConflictError,  # another connection has it for itself
    DIFFERENT: ConflictError,  # it exists with other arguments
    506: ExhaustedError,
    _NO_HOST: PermissionDeniedError,  # no such virtual host, or no access to it
    541: UnavailableError,
}

_REFUSED = (
    exceptions.ProbableAuthenticationError,
    exceptions.ProbableAccessDeniedError,
    exceptions.AuthenticationError,
)


class RefusedError(exceptions.AMQPError):  # type: ignore[misc] # pika has no types
    """A refusal of the broker, with the next step; *kind* is Capa's type for it."""

    def __init__(self, kind: type[CapaError], text: str) -> None:
        super().__init__(text)
        self.kind = kind


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not pika's."""
    if isinstance(error, RefusedError):
        return error.kind
    if isinstance(error, _REFUSED):
        return PermissionDeniedError
    if _code(error) in _BY_CODE:
        return _BY_CODE[_code(error)]
    if isinstance(error, exceptions.AMQPConnectionError | exceptions.ChannelWrongStateError):
        return UnavailableError
    return UnknownError if isinstance(error, exceptions.AMQPError) else None


def is_gone(error: BaseException) -> bool:
    """Return whether the broker said that an exchange or a queue is not there."""
    return isinstance(error, exceptions.ChannelClosedByBroker) and error.reply_code == NOT_FOUND


def on_opening(error: exceptions.AMQPError, to: pika.ConnectionParameters) -> exceptions.AMQPError:
    """Return *error*, met on connecting to a host, with the host, and with the next step where there is one."""
    place = f"RabbitMQ at {to.host}:{to.port}"
    user = getattr(to.credentials, "username", "")
    if isinstance(error, exceptions.ProbableAccessDeniedError) or _code(error) == _NO_HOST:
        host = to.virtual_host
        return RefusedError(
            PermissionDeniedError,
            f"{place} has no virtual host {host!r}, or the user {user!r} may not use it: {error}. "
            f"Correct the path of `url`, or make it: `rabbitmqctl add_vhost {host}`, "
            f"`rabbitmqctl set_permissions -p {host} {user} '.*' '.*' '.*'`.",
        )
    if name_error(error) is PermissionDeniedError:
        return RefusedError(
            PermissionDeniedError,
            f"{place} refuses the user {user!r}: {error}. Correct user and password in `url`.",
        )
    if isinstance(error, exceptions.StreamLostError | exceptions.IncompatibleProtocolError):
        tls = "" if to.ssl_options else "; where the port takes TLS alone, write amqps://"
        return RefusedError(
            UnavailableError,
            f"{place} ended the connection before it was open: {error}. Check host and port of `url`{tls}",
        )
    if to.ssl_options and "SSL" in str(error) and "CERTIFICATE_VERIFY" not in str(error):
        return RefusedError(
            UnavailableError,
            f"{error}: the broker may have no TLS there. Correct the port of `url`; or, where the network is trusted,"
            " write amqp://",
        )
    return error


def on_silence(to: pika.ConnectionParameters, limit_s: float) -> RefusedError:
    """Return the error of a host that took the connection and never opened it as a broker does."""
    place = f"RabbitMQ at {to.host}:{to.port}"
    return RefusedError(
        DeadlineError,
        f"{place} did not answer within {limit_s:g} s, or not as a RabbitMQ broker does: check host and port of `url`",
    )


def on_declaring(error: exceptions.ChannelClosedByBroker) -> exceptions.AMQPError:
    """Return *error*, met on declaring an exchange or a queue, with the next step where there is one."""
    if error.reply_code != DIFFERENT:
        return error
    return RefusedError(
        ConflictError,
        f"RabbitMQ has this exchange or queue with other arguments, perhaps from an operator: {error.reply_text}. "
        "Delete it once it is empty, or give this component a `prefix` of its own.",
    )


def on_publishing(error: exceptions.ChannelClosedByBroker) -> exceptions.AMQPError:
    """Return *error*, met on publishing, with the next step where there is one."""
    if error.reply_code != DIFFERENT or "message size" not in error.reply_text:
        return error
    return RefusedError(
        InvalidArgumentError,
        f"a message is above the limit of the broker: {error.reply_text}. Store the body elsewhere and send where, or "
        "raise `max_message_size` in rabbitmq.conf; and set `max_message_bytes` of this component to the same.",
    )


def check_version(server: Mapping[str, Any], place: str) -> None:
    """Check that a broker, by its own description, has what the queues need.

    Raises:
        RefusedError: It is too old.
    """
    if version_of(server) < OLDEST:
        raise RefusedError(
            UnsupportedError,
            f"RabbitMQ at {place} is version {text(server.get('version'))}: queues that lose nothing, with delays, "
            f"need {OLDEST[0]}.{OLDEST[1]} or later. Upgrade the broker, or use another engine.",
        )


def version_of(server: Mapping[str, Any]) -> tuple[int, ...]:
    """Return major and minor version of a broker by its own description; the oldest that will do if it tells none."""
    found = re.match(r"(\d+)\.(\d+)", text(server.get("version")))
    return tuple(map(int, found.groups())) if found else OLDEST


def text(value: object) -> str:
    """Return a value of a table of AMQP as text."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _code(error: Exception) -> int:
    return int(getattr(error, "reply_code", 0))
