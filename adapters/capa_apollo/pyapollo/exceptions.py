"""In place of `pyapollo.exceptions` (apollo-client3): errors of its own HTTP calls, which nothing here raises."""

from __future__ import annotations

__all__ = ["BasicException", "NameSpaceNotFoundException", "ServerNotResponseException"]


class BasicException(BaseException):
    """Above both errors; as in the original, `except Exception` does not catch it."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg)
        self._msg = msg

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self._msg}"


class NameSpaceNotFoundException(BasicException):
    """The server was there, and did not answer in time."""


class ServerNotResponseException(BasicException):
    """The server was not there."""
