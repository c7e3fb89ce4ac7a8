"""The part that both clients share: namespaces as read-only mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from capa_apollo._namespaces import Namespaces, ReleaseListener
from capa_apollo._space import IfMissing, space_at
from capa_apollo.papollo.exceptions import ApolloError, as_apollo_error

L = TypeVar("L", bound=Callable[..., Any])

_PROPERTIES = ".properties"


class Listening:
    """The listeners of one client."""

    def __init__(self) -> None:
        # Replaced, never changed: it may be read at any time.
        self._listeners: tuple[Callable[..., Any], ...] = ()

    def add_listener(self, callback: L) -> L:
        """Call *callback* with a namespace, and its keys before and after, at each change; also a decorator.

        The async client awaits it if it is a coroutine function.
        """
        if callback not in self._listeners:
            self._listeners = (*self._listeners, callback)
        return callback

    def remove_listener(self, callback: Callable[..., Any]) -> None:
        """Call *callback* no longer, if it was."""
        self._listeners = tuple(one for one in self._listeners if one != callback)


class Releases:
    """The namespaces of one client.

    Attributes:
        read: Those that were read so far, by their normal names.
    """

    def __init__(self, server_url: str, app_id: str, cluster: str, listener: ReleaseListener) -> None:
        self.read: dict[str, Mapping[str, str]] = {}
        self._namespaces = Namespaces(
            lambda: space_at(server_url, app_id, cluster), self.read, _read_only, IfMissing.RAISE
        )
        self._namespaces.listen_to_releases(listener)
        self.stop = self._namespaces.stop

    def held(self, name: str) -> Mapping[str, str] | None:
        """Return a namespace that was read before; `None` for another."""
        held = self.read.get(name)
        return self.read.get(_normalized(name)) if held is None else held

    def open(self, name: str) -> Mapping[str, str]:
        """Return a namespace, which is live from now on.

        Raises:
            ApolloError: It does not exist, or the engine does not answer and it was never read.
        """
        with as_apollo_error():
            opened: Mapping[str, str] = self._namespaces.open(_normalized(name))
            return opened

    def refresh(self, name: str | None) -> None:
        """Read one namespace, or all that were read before, from the engine.

        Raises:
            ApolloError: As for `open`, of the first that failed; the others were read.
        """
        errors = [self._refreshed(one) for one in (list(self.read) if name is None else [name])]
        for error in filter(None, errors):
            raise error

    def _refreshed(self, name: str) -> ApolloError | None:
        try:
            self.open(name)
            with as_apollo_error():
                self._namespaces.read(_normalized(name))
        except ApolloError as error:
            return error
        return None


def _normalized(name: str) -> str:
    return name[: -len(_PROPERTIES)] if name.lower().endswith(_PROPERTIES) else name


def _read_only(_namespace: str, held: dict[str, str]) -> Mapping[str, str]:
    return MappingProxyType(held)
