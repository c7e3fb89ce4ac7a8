"""The contract of every driver, for all blocks: settings in, plain values out, native errors translated.

A driver lives in `capa_core/components/<engine>/<block>.py` (or in a package of another distribution) and is found by
an entry point in the group `capa.<block>`. It never sees the portable type.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from capa_core.abilities import Feature, Support
from capa_core.errors import CapaError, UnsupportedError
from capa_core.secret import Secret, without_credentials

if TYPE_CHECKING:
    from pydantic import BaseModel

    SettingsT = TypeVar("SettingsT", bound=BaseModel)
else:
    SettingsT = TypeVar("SettingsT")

ClientT = TypeVar("ClientT")


@dataclass(frozen=True, slots=True)
class Risk:
    """Data that the engine, as it is set now, would lose.

    Attributes:
        event: The event that it does not survive, such as `a power cut`.
        loses: The data that it loses then.
        remedy: The setting to change, and its value.
    """

    event: str
    loses: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.event} loses {self.loses}. {self.remedy}"


class Driver(ABC, Generic[SettingsT]):
    """The part of the contract that all blocks share.

    A driver *must* be safe to call from many threads at once. It *must not* retry, log, trace or start work
    before it is called: the portable type does the first three, and opening is lazy so that a component that is
    configured but unused costs nothing. The first call that needs a connection opens it.
    """

    settings_type: ClassVar[type[BaseModel]]
    """The pydantic model of its settings, with `extra="forbid"`."""
    features: ClassVar[Mapping[Feature, Support]]
    """The support of each ability of its block. Each member of the block's enum *must* be a key."""
    error_types: ClassVar[Mapping[type[BaseException], type[CapaError]]] = {}
    """Native exception type → Capa's. The most derived type that matches wins."""

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """Return Capa's type for a native *error*; `None` for one that is not the engine's (a bug: not translated).

        A driver overrides it only if the type alone does not decide, such as for a code inside a `ClientError`.
        """
        for native in type(error).__mro__:
            if native in self.error_types:
                return self.error_types[native]
        return None

    @abstractmethod
    def ping(self) -> str:
        """Return one line about the engine if it answers, such as `Redis 7.0.15 at 127.0.0.1:6379`.

        It *must* return or raise within its settings' `timeout_s`.
        """

    def risks(self) -> Sequence[Risk]:
        """Return what the engine would lose with the settings that it has now; the default knows of nothing.

        It *must* read the engine's own settings where it can, and leave out what it cannot read.
        """
        return ()

    def address(self) -> str:
        """Return the place of the engine's data without connecting; `""` for memory of this process.

        That is the address of its server, or several with `, ` between, or the path of its files, never with
        credentials. The default is the `url` or `folder` of the settings.
        """
        url = getattr(self.settings, "url", "") or str(getattr(self.settings, "folder", ""))
        return ", ".join(map(without_credentials, (url,) if isinstance(url, str) else url))

    def legacy_address(self) -> Secret:
        """Return the address by which another library finds the same data, credentials included.

        Raises:
            UnsupportedError: The engine has none that is one text. The default has none.
        """
        raise UnsupportedError(
            f"{type(self).__name__} as it is configured has no address that another library could connect to."
        )

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """Return, for each type of client that the engine has, a function that returns it; `{}` where it has none.

        The driver owns the client and closes it. It *must* behave as one that the application has made: no prefix,
        no retry, the engine's own errors. The driver's docstring states which threads may use it.
        """
        return {}

    def native(self, kind: type[ClientT]) -> ClientT:
        """Return the engine's own client of the type *kind*.

        Raises:
            UnsupportedError: The engine has no such client; the message names the available types.
        """
        clients = self.clients()
        if kind not in clients:
            known = ", ".join(f"{one.__module__}.{one.__qualname__}" for one in clients)
            raise UnsupportedError(
                f"{type(self).__name__} has no native client of type {kind.__module__}.{kind.__qualname__}: "
                + (f"request {known}" if known else "its engine has no client of its own")
                + ", or use the calls of the portable type."
            )
        return cast("ClientT", clients[kind]())

    @abstractmethod
    def close(self) -> None:
        """Close connections and end threads. A second `close` does nothing. Later calls may raise any error."""

    def forget(self) -> None:
        """Drop connections and locks that a fork copied into this child, without closing the parent's.

        Called in the child before any other call. The default suits a driver that holds none.
        """


class DriverOver(Driver[SettingsT]):
    """A driver over another one: that one's clients, errors and life are its own too."""

    @property
    @abstractmethod
    def under(self) -> Driver[Any]:
        """The other driver."""

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        return self.under.name_error(error)

    def ping(self) -> str:
        """See `Driver.ping`."""
        return self.under.ping()

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return self.under.risks()

    def address(self) -> str:
        """See `Driver.address`."""
        return self.under.address()

    def legacy_address(self) -> Secret:
        """See `Driver.legacy_address`."""
        return self.under.legacy_address()

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`."""
        return self.under.clients()

    def close(self) -> None:
        """See `Driver.close`."""
        self.under.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.under.forget()
