"""The part that all portable types share: a name, a driver behind a guard, abilities and a life cycle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from capa_core.abilities import Feature, Support
from capa_core.call.closed import closed
from capa_core.call.conventions import CAPA, Convention
from capa_core.call.guard import Guard, Policy
from capa_core.call.traits import blocking, call_traits
from capa_core.driver import ClientT, Driver, Risk
from capa_core.engine import title_of
from capa_core.errors import UnsupportedError
from capa_core.secret import Secret

DriverT = TypeVar("DriverT", bound=Driver[Any])


@blocking()
class Portable(Generic[DriverT]):
    """The part of a portable type that is the same in every block.

    A block adds its calls, and extends `close` and `forget` for resources that it keeps besides the driver.
    """

    _convention: ClassVar[Convention] = CAPA
    """The names of its calls in traces and metrics."""

    def __init__(self, block: str, driver: DriverT, name: str, policy: Policy) -> None:
        self.name = name
        self._driver = driver
        self._address = driver.address
        self._driver_type = type(driver)
        self._features: Mapping[Feature, Support] = driver.features
        self._guard = Guard(block, name, driver, policy, self._convention)

    @property
    def features(self) -> Mapping[Feature, Support]:
        """The support of each ability, after compensation by the core."""
        return self._features

    @property
    def address(self) -> str:
        """The place of the engine's data, known without connecting: see `Driver.address`."""
        return self._address()

    @property
    def place(self) -> str:
        """The engine and the place of its data, for people: `SQLite in .capa/`, `Redis at redis://redis.prod:6379/0`."""
        engine, address = title_of(self._driver_type), self.address
        if not address:
            return f"{engine} of this process"
        if "://" in address:
            return f"{engine} at {address}"
        return f"{engine} in {min(address, os.path.relpath(address), key=len)}/"

    def ping(self) -> str:
        """Return one line about the engine if it answers.

        Raises:
            UnavailableError: It does not answer.
        """
        return self._guard.once("ping", self._driver.ping)

    def risks(self) -> list[Risk]:
        """Return what the engine would lose, in which event, with the settings that it has now.

        Raises:
            UnavailableError: It does not answer.
        """
        return list(self._guard.once("risks", self._driver.risks))

    def native(self, kind: type[ClientT]) -> ClientT:
        """Return the engine's own client, for operations that the portable calls do not offer.

            import redis
            runtime.state("orders").native(redis.Redis).memory_usage("capa:state:42")

        Code that uses it imports the engine's library: a search for that import finds all code that is tied to one
        engine.

        The component owns the client: do not close it, and do not use it after the component was closed. Get it again
        in a forked child. The engine decides which threads may use it: see docs/how-to/native-clients.md.

        Raises:
            UnsupportedError: The component has no client of this type. The message names the available ones.
            UnavailableError: The engine did not answer, where making the client opens a connection.
        """
        try:
            return self._guard.once("native", self._driver.native, kind)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self._guard.block} {self.name!r}: {error}") from None

    @call_traits(immediate=True)
    def legacy_address(self) -> Secret:
        """Return the address by which a legacy library finds the same data, credentials included.

        For fleets that are moved bit by bit, of which a part still uses that library.

        Raises:
            UnsupportedError: The engine has none, or not as it is configured.
        """
        try:
            return self._guard.once("legacy_address", self._driver.legacy_address)
        except UnsupportedError as error:
            raise UnsupportedError(f"{self._guard.block} {self.name!r}: {error}") from None

    @property
    def native_types(self) -> tuple[type[Any], ...]:
        """The types for which `native` has a client."""
        return tuple(self._driver.clients())

    def summary(self) -> str:
        """Return a short summary of the content, such as `12 keys`; `""` where it is not available.

        Raises:
            UnavailableError: The engine did not answer.
        """
        return ""

    def stop(self) -> None:
        """Stop accepting work; running work continues. The runtime calls it before it closes anything."""

    @call_traits(waits=True)
    def drain(self, timeout_s: float) -> None:
        """Wait for running work after `stop`, for at most *timeout_s*."""

    @call_traits(waits=True)
    def close(self) -> None:
        """Close connections and end threads. A second `close` does nothing; other calls raise `ClosedError`."""
        self._driver.close()
        self._driver = closed(self._guard.block, self.name)

    def forget(self) -> None:
        """Drop the resources that a fork copied into this child. The runtime calls it."""
        self._guard.forget()
        self._driver.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def counted(count: int, noun: str) -> str:
    """Return *count* with *noun*, in the plural unless it is one."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
