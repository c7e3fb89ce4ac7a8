"""What an engine must do to be a secrets component."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT


class SecretsFeature(Feature):
    """Abilities of secrets."""

    GET = ("get", Level.ALWAYS)
    """One secret is read by name."""
    BULK = ("bulk", Level.ALWAYS)
    """All secrets that these credentials may read are read at once."""
    FIELDS = ("fields", Level.COMMON)
    """A secret can have several named values."""
    VERSIONS = ("versions", Level.SOME)
    """An older version can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsLimits:
    """The most that a store holds; `None` where no limit is known.

    Attributes:
        max_name_length: In characters.
    """

    max_name_length: int | None = None


class SecretsDriver(Driver[SettingsT]):
    """Plain values come out of here and are wrapped into `Secret` by the portable type at once.

    A driver *must not* put a value into an error, and *must not* chain an error that holds one. A changed secret
    *must* be seen by a later call without a restart.
    """

    @property
    def limits(self) -> SecretsLimits:
        """The most that the store holds. Read once, before anything is opened."""
        return SecretsLimits()

    @abstractmethod
    def get(self, name: str, version: str | None) -> Mapping[str, str] | None:
        """Return the fields of the secret, or `None` if there is none. A single value is the field `""`.

        *version* is never given to a driver without VERSIONS. *name* is any text: it *must not* reach anything that
        is no secret, such as a file in another folder.
        """

    @abstractmethod
    def names(self) -> list[str]:
        """Return the names of all secrets that may be read."""

    def get_all(self) -> Mapping[str, Mapping[str, str]]:
        """Return the fields of each secret by its name. BULK."""
        raise NotImplementedError
