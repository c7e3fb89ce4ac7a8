"""The contract of secrets drivers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT


class SecretsFeature(Feature):
    """Abilities of secrets."""

    GET = ("get", Level.ALWAYS)
    """A secret is read by name."""
    BULK = ("bulk", Level.ALWAYS)
    """All readable secrets are read at once."""
    FIELDS = ("fields", Level.COMMON)
    """A secret can have several named values."""
    VERSIONS = ("versions", Level.SOME)
    """An older version can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsLimits:
    """The limits of a store; `None` where no limit is known.

    Attributes:
        max_name_length: The longest name in characters.
    """

    max_name_length: int | None = None


class SecretsDriver(Driver[SettingsT]):
    """The contract of secrets. A driver returns plain values; the portable type wraps them into `Secret` at once.

    A driver *must not* put a value into an error, and *must not* chain an error that holds one. A later call
    *must* see a changed secret without a restart.
    """

    @property
    def limits(self) -> SecretsLimits:
        """The limits of the store. Read once, before anything is opened."""
        return SecretsLimits()

    @abstractmethod
    def get(self, name: str, version: str | None) -> Mapping[str, str] | None:
        """Return the fields of the secret; `None` if there is none. A single value is the field `""`.

        *version* is `None` for a driver without VERSIONS. *name* is any text: it *must not* reach anything that is not
        a secret, such as a file in another folder.
        """

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all readable secrets."""

    def get_all(self) -> Mapping[str, Mapping[str, str]]:
        """Return the fields of each secret by its name. BULK."""
        raise NotImplementedError
