"""What a configuration engine must do to be a component."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT


class ConfigurationFeature(Feature):
    """Abilities of configuration."""

    WATCH = ("watch", Level.ALWAYS)
    """A caller learns of a change without asking again; the core polls where the engine cannot push."""
    LAST_KNOWN_GOOD = ("last_known_good", Level.ALWAYS)
    """A start with the engine down serves what was read last and says that it is stale; the core keeps it on disk."""
    SAVE = ("save", Level.COMMON)
    """Values can be written."""
    DELETE = ("delete", Level.COMMON)
    """Values can be removed."""
    LABELS = ("labels", Level.COMMON)
    """One group has variants, such as clusters or environments; a missing variant falls back to the unlabelled."""
    TAGS = ("tags", Level.SOME)
    """Items carry named texts of their own."""
    DOCUMENTS = ("documents", Level.COMMON)
    """A group can be one document (`testjson.json`), whose text is kept whole."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where items live.

    Attributes:
        application: Whose configuration (Apollo: appId); `""` for the component's own.
        group: The set of items (Apollo: namespace; a file), such as `application` or `testjson.json`.
        label: The variant (Apollo: cluster); `""` for the default one.
    """

    application: str = ""
    group: str = "application"
    label: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationItem:
    """One key with its value as text; structured values are JSON text. *version* changes with the value."""

    key: str
    value: str
    version: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All items of a scope at one moment.

    Attributes:
        items: Key → item.
        version: Opaque; changes whenever an item changes; `""` if the scope does not exist.
        content: The whole text when the group is a document, else `None`.
    """

    items: Mapping[str, ConfigurationItem]
    version: str
    content: str | None = None


class ConfigurationDriver(Driver[SettingsT]):
    """A scope that does not exist reads as an empty snapshot with version `""`; it may come into being later."""

    @abstractmethod
    def get(self, scope: Scope) -> Snapshot:
        """Return the present items of *scope*."""

    @abstractmethod
    def version(self, scope: Scope) -> str:
        """Return the present version at the least cost the engine allows: the core polls with it."""

    @abstractmethod
    def watch(self, scope: Scope, version: str, timeout_s: float) -> Snapshot | None:
        """Return the snapshot as soon as its version differs from *version*; `None` when *timeout_s* passed first.

        Must look before it waits. Never called where WATCH is not the driver's. Must be woken by `close`.
        """

    @abstractmethod
    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """Write these items, leave the others, and return the new version of the scope.

        A half-written scope must never be visible to a reader.
        """

    @abstractmethod
    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """Remove these keys (missing ones are passed over) and return the new version of the scope."""
