"""The exceptions that the original raises for urllib3's failures."""

from __future__ import annotations

from typing import Any

import requests.adapters
import urllib3.exceptions
from requests.models import PreparedRequest

#: Names are looked up in the original's module at each failure, where they may have been replaced.
_theirs: Any = requests.adapters


def as_requests_error(error: Exception, request: PreparedRequest) -> Exception:
    """Return the exception that the original raises when sending *request* fails with *error*; often *error* itself."""
    if isinstance(error, _theirs.ProtocolError | OSError):
        return _made(_theirs.ConnectionError, error, request)
    if isinstance(error, _theirs.MaxRetryError):
        return _exhausted(error, request)
    kinds = (
        (_theirs.ClosedPoolError, _theirs.ConnectionError),
        (urllib3.exceptions.SSLError, _theirs.SSLError),
        (_theirs.ReadTimeoutError, _theirs.ReadTimeout),
        (urllib3.exceptions.InvalidHeader, _theirs.InvalidHeader),
    )
    for kind, translated in kinds:
        if isinstance(error, kind):
            return _made(translated, error, request)
    return error


def _exhausted(error: Any, request: PreparedRequest) -> Exception:
    reason = error.reason
    translated = _theirs.ConnectionError
    if isinstance(reason, _theirs.ConnectTimeoutError) and not isinstance(reason, _theirs.NewConnectionError):
        return _made(_theirs.ConnectTimeout, error, request)
    if isinstance(reason, _theirs.ResponseError):
        translated = _theirs.RetryError
    elif isinstance(reason, urllib3.exceptions.SSLError):
        translated = _theirs.SSLError
    return _made(translated, error, request)


def _made(kind: Any, error: Exception, request: PreparedRequest) -> Exception:
    made: Exception = kind(error, request=request)
    return made
