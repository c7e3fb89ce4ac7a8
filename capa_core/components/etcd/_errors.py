"""Errors of etcd, which have the codes of gRPC."""

from __future__ import annotations

from capa_core.errors import (
    CapaError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
)
from capa_core.http import ERROR_TYPES

UNAUTHENTICATED = 16

_BY_CODE: dict[int, type[CapaError]] = {
    3: InvalidArgumentError,
    4: DeadlineError,
    7: PermissionDeniedError,
    8: ExhaustedError,
    14: UnavailableError,
    UNAUTHENTICATED: PermissionDeniedError,
}
_REFUSALS = {
    "etcdserver: user name is empty": "set `user` and `password` of the component in capa.toml",
    "etcdserver: authentication failed, invalid user ID or password": (
        "correct `user` and `password` of the component in capa.toml"
    ),
    "etcdserver: authentication is not enabled": (
        "remove `user` from the component in capa.toml, or enable it in the cluster"
    ),
    "etcdserver: mvcc: database space exceeded": (
        "compact and defragment the cluster, then `etcdctl alarm disarm`, or raise its --quota-backend-bytes"
    ),
}
_OF_CREDENTIALS = tuple(_REFUSALS)[:3]


class EtcdError(Exception):
    """The refusal of a member, with its code and its words."""

    def __init__(self, code: int, words: str, place: str) -> None:
        super().__init__(f"{place}: {words}" + (f": {_REFUSALS[words]}" if words in _REFUSALS else ""))
        self.code = code
        self.words = words


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is neither etcd's nor of the connection."""
    if isinstance(error, EtcdError):
        if error.words in _OF_CREDENTIALS:
            return PermissionDeniedError
        return _BY_CODE.get(error.code, UnknownError)
    return next((ERROR_TYPES[kind] for kind in type(error).__mro__ if kind in ERROR_TYPES), None)
