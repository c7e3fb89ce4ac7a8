"""In place of `papollo.exceptions`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from capa_core.errors import CapaError, NotFoundError, PermissionDeniedError

__all__ = ["ApolloError"]


class ApolloError(Exception):
    """A namespace could not be read; the text says why and what to do, the cause is the error of Capa.

    Attributes:
        status_code: 404 if it does not exist, 401 if the engine refuses it, else `None`.
    """

    def __init__(self, message: str, *, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


@contextmanager
def as_apollo_error() -> Iterator[None]:
    """Raise an error of Capa as `ApolloError`."""
    try:
        yield
    except NotFoundError as error:
        raise ApolloError(str(error), status_code=404) from error
    except PermissionDeniedError as error:
        raise ApolloError(str(error), status_code=401) from error
    except CapaError as error:
        raise ApolloError(str(error)) from error
