"""Errors of Capa as kombu's callers know them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import ChannelError

from capa_core.errors import (
    CapaError,
    DeadlineError,
    ExhaustedError,
    SettingsError,
    UnavailableError,
    UnsupportedError,
)

PASSING = (UnavailableError, DeadlineError, ExhaustedError)
"""The errors that a retry may help."""


@contextmanager
def refusals_as_channel_errors() -> Iterator[None]:
    """Raise kombu's error for an argument that the component refuses, such as an empty name of a queue.

    Errors that a retry may help are left unchanged: they are among the transport's `connection_errors`. So are those of
    capa.toml, and those for a part that is not served: no other call of the application would end better.
    """
    try:
        yield
    except (SettingsError, UnsupportedError):
        raise
    except CapaError as error:
        if error.retryable:
            raise
        raise ChannelError(str(error)) from error


def not_found(kind: str, name: str, host: str) -> ChannelError:
    """Return kombu's error for an exchange or queue, as *kind* says, that is not declared."""
    text = f"NOT_FOUND - no {kind} {name!r} in vhost {host!r}"
    return ChannelError(text, (50, 10), f"Channel.{kind}_declare", "404")


def invalid_argument(queue: str, name: str, value: object) -> ChannelError:
    """Return kombu's error for the argument *name* of *queue*, whose *value* RabbitMQ does not take."""
    text = f"PRECONDITION_FAILED - invalid arg {name!r} for queue {queue!r}: {value!r}"
    return ChannelError(text, (50, 10), "Channel.queue_declare", "406")
