"""Translation of nats-py's errors, and of the codes of JetStream's answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nats import errors

from capa_core.errors import (
    CapaError,
    ConflictError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)

OLDEST = (2, 12)
"""The first version whose streams publish a message at a given time."""

NO_STREAM, NO_CONSUMER, NO_MESSAGE, WRONG_SEQUENCE = 10059, 10014, 10037, 10071
STREAM_EXISTS, CONSUMER_EXISTS, SUBJECTS_OVERLAP = 10058, 10148, 10065
_NOT_ENABLED = (10039, 10076)
_HINTS = {
    **dict.fromkeys(
        _NOT_ENABLED,
        " Start the server with -js, or enable it for the account; correct `domain` if it is set.",
    ),
    10074: " Set `replicas` of the component to 1, or use a cluster.",
}

# https://github.com/nats-io/nats-server/blob/main/server/errors.json
_BY_ERROR: dict[int, type[CapaError]] = {
    10002: ExhaustedError,  # the limits of the account
    10008: UnavailableError,  # JetStream is starting, or has no leader
    10023: ExhaustedError,  # insufficient resources
    10028: ExhaustedError,  # the account's memory
    10047: ExhaustedError,  # storage
    10054: InvalidArgumentError,  # the message is above `max_msg_size`
    10077: ExhaustedError,  # `max_msgs` or `max_bytes` of the stream
    10074: SettingsError,  # replicas without a cluster
    10097: InvalidArgumentError,  # the attributes are above 64 kB
    WRONG_SEQUENCE: ConflictError,
    STREAM_EXISTS: ConflictError,
    SUBJECTS_OVERLAP: ConflictError,
    CONSUMER_EXISTS: ConflictError,
} | dict.fromkeys(_NOT_ENABLED, UnsupportedError)
_BY_STATUS: dict[int, type[CapaError]] = {404: NotFoundError, 503: UnavailableError}

_BY_TYPE: dict[type[Exception], type[CapaError]] = {
    errors.TimeoutError: DeadlineError,
    errors.AuthorizationError: PermissionDeniedError,
    errors.InvalidUserCredentialsError: PermissionDeniedError,
    errors.MaxPayloadError: InvalidArgumentError,
    errors.ConnectionClosedError: UnavailableError,
    errors.NoServersError: UnavailableError,
    errors.NoRespondersError: UnavailableError,
    errors.StaleConnectionError: UnavailableError,
    errors.OutboundBufferLimitError: UnavailableError,
    errors.Error: UnknownError,
}


class RefusedError(errors.Error):
    """A refusal, or a loss, with the next step; *kind* is Capa's type for it."""

    def __init__(self, kind: type[CapaError], text: str) -> None:
        super().__init__(text)
        self.kind = kind


class JetStreamError(errors.Error):
    """An error in an answer of JetStream; *number* is its `err_code`."""

    def __init__(self, answer: Mapping[str, Any], asked: str) -> None:
        self.status = int(answer.get("code", 500))
        self.number = int(answer.get("err_code", 0))
        self.description = str(answer.get("description", ""))
        hint = _HINTS.get(self.number, "")
        super().__init__(f"{self.description} (JetStream error {self.number}) on {asked}.{hint}")

    @property
    def kind(self) -> type[CapaError]:
        """Capa's type for it."""
        return _BY_ERROR.get(self.number) or _BY_STATUS.get(self.status, UnknownError)


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not nats-py's."""
    if isinstance(error, RefusedError | JetStreamError):
        return error.kind
    return next((_BY_TYPE[native] for native in type(error).__mro__ if native in _BY_TYPE), None)


NO_TLS = (
    "the server has no TLS, and nothing was sent to it. Give it a certificate (`tls` in nats-server.conf); or, where"
    " the network is trusted, write nats://… without `tls_ca_file` and `tls_cert_file`"
)


def on_connecting(error: BaseException | None, server: str, user: str) -> RefusedError:
    """Return *error*, met on connecting to *server*, with the next step where there is one."""
    text = str(error or "") or type(error).__name__
    if text == NO_TLS:
        return RefusedError(UnavailableError, f"no connection to NATS at {server}: {NO_TLS}")
    if isinstance(error, RefusedError):
        return error
    if "authorization" in text.lower() or "nkey" in text.lower():
        whom = f"the user {user!r}" if user else "these credentials"
        step = "Correct user and password, token, NKey or credentials file."
        return RefusedError(PermissionDeniedError, f"NATS at {server} refuses {whom}: {text}. {step}")
    if isinstance(error, TimeoutError):
        return RefusedError(
            DeadlineError,
            f"NATS at {server} did not answer in time, or not as a NATS server does: check host and port; where it"
            " speaks TLS from the first byte, write tls:// and set `tls_first`",
        )
    return RefusedError(UnavailableError, f"no connection to NATS at {server}: {text}")


def check_version(version: str, server: str) -> None:
    """Check that a server of *version* has what the streams need.

    Raises:
        RefusedError: It is too old.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and tuple(map(int, found.groups())) < OLDEST:
        raise RefusedError(
            UnsupportedError,
            f"NATS at {server} is version {version}: messages that are published later need "
            f"{OLDEST[0]}.{OLDEST[1]} or later. Upgrade the server, or use another engine.",
        )
