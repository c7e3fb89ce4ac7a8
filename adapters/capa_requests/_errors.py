"""The exceptions that the original raises for urllib3's failures."""

from __future__ import annotations

import urllib3.exceptions
from requests import exceptions
from requests.models import PreparedRequest


def as_requests_error(error: Exception, request: PreparedRequest) -> Exception:
    """Return the exception that the original raises when sending *request* fails with *error*; often *error* itself."""
    if isinstance(error, urllib3.exceptions.MaxRetryError):
        return _exhausted(error, request)
    kinds: tuple[tuple[type | tuple[type, ...], type[exceptions.RequestException]], ...] = (
        ((urllib3.exceptions.ProtocolError, OSError), exceptions.ConnectionError),
        (urllib3.exceptions.ClosedPoolError, exceptions.ConnectionError),
        (urllib3.exceptions.SSLError, exceptions.SSLError),
        (urllib3.exceptions.ReadTimeoutError, exceptions.ReadTimeout),
        (urllib3.exceptions.InvalidHeader, exceptions.InvalidHeader),
    )
    for kind, translated in kinds:
        if isinstance(error, kind):
            return translated(error, request=request)
    return error


def _exhausted(error: urllib3.exceptions.MaxRetryError, request: PreparedRequest) -> Exception:
    reason = error.reason
    translated: type[exceptions.RequestException] = exceptions.ConnectionError
    if isinstance(reason, urllib3.exceptions.ConnectTimeoutError):
        if not isinstance(reason, urllib3.exceptions.NewConnectionError):
            translated = exceptions.ConnectTimeout
    elif isinstance(reason, urllib3.exceptions.ResponseError):
        translated = exceptions.RetryError
    elif isinstance(reason, urllib3.exceptions.SSLError):
        translated = exceptions.SSLError
    return translated(error, request=request)
