"""The driver contract of configuration: items and documents by scope, versions, watching."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT
from capa_core.errors import ConflictError, UnsupportedError
from capa_core.reach import Server
from capa_core.secret import Secret

LONGEST_NAME = 255


class ConfigurationFeature(Feature):
    """Abilities of configuration."""

    WATCH = ("watch", Level.ALWAYS)
    """A change is reported to its listeners; the core polls where the engine cannot push."""
    LAST_KNOWN_GOOD = ("last_known_good", Level.ALWAYS)
    """A start with the engine down serves the values read last, marked as stale; the core stores them on disk."""
    SAVE = ("save", Level.COMMON)
    """Values can be written."""
    DELETE = ("delete", Level.COMMON)
    """Values can be removed."""
    LABELS = ("labels", Level.COMMON)
    """One group has variants, such as clusters or environments; a missing variant falls back to the unlabelled."""
    TAGS = ("tags", Level.SOME)
    """Items have named texts of their own."""
    DOCUMENTS = ("documents", Level.COMMON)
    """A group can be one document (`testjson.json`), whose text is kept whole."""
    INSPECT = ("inspect", Level.COMMON)
    """The groups that the engine has can be listed, with version and number of items."""
    CONDITIONAL = ("conditional", Level.COMMON)
    """A change can be refused if the group has changed since it was read."""
    HISTORY = ("history", Level.SOME)
    """Earlier versions of a group can be read."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where items live.

    Attributes:
        application: The application (Apollo: appId); `""` for the component's own.
        group: The set of items (Apollo: namespace; a file), such as `application` or `testjson.json`.
        label: The variant (Apollo: cluster); `""` for the default one.
    """

    application: str = ""
    group: str = "application"
    label: str = ""

    def candidates(self) -> tuple[Scope, ...]:
        """Return the scopes that may serve this one, the closest first: without the label, then the component's own."""
        if not self.application and not self.label:
            return (self,)
        near = (self, Scope(self.application, self.group), Scope("", self.group, self.label))
        return tuple(dict.fromkeys((*near, Scope("", self.group))))

    def __str__(self) -> str:
        marks = (("application", self.application), ("label", self.label))
        return f"{self.group!r}" + "".join(f" of {kind} {value!r}" for kind, value in marks if value)


@dataclass(frozen=True, slots=True)
class ConfigurationItem:
    """One key with its value as text; structured values are JSON text.

    Attributes:
        version: Changes with the value.
        tags: Named texts of its own.
        changed_at: Seconds since the epoch when the value was written, by the clock of the engine or the writer; no
            earlier than that where the engine only knows of the group; 0 where it knows nothing.
        secret: Whether the engine keeps the value as a secret: tools show a mask in its place.
    """

    key: str
    value: str
    version: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    changed_at: float = field(default=0.0, compare=False)
    secret: bool = field(default=False, compare=False)

    def __repr__(self) -> str:
        value = Secret(self.value) if self.secret else self.value
        return (
            f"ConfigurationItem({self.key!r}, {value!r}, version={self.version!r}, tags={dict(self.tags)!r})"
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A change of a group, made in one step.

    Attributes:
        items: These are written, and the others left.
        gone: These keys are removed; missing ones are passed over.
        content: The new text of the whole document; `None` to edit by *items* and *gone*.
    """

    items: Sequence[ConfigurationItem] = ()
    gone: Sequence[str] = ()
    content: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One version of a group in the past, or the present one.

    Attributes:
        version: Unique among the versions of the group; need not be that of a snapshot.
        changed_at: Seconds since the epoch when it was written.
        values: Key → value.
        content: The whole text if the group was a document, else `None`.
    """

    version: str
    changed_at: float
    values: Mapping[str, str]
    content: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationLimits:
    """The most that a component holds; `None` where no limit is known.

    Attributes:
        max_name_length: In characters, of applications, groups and labels; the same on every component.
        max_name_bytes: In UTF-8, of the same.
        max_value_bytes: In UTF-8, of one value.
        max_document_bytes: In UTF-8, of one document.
    """

    max_name_length: int = LONGEST_NAME
    max_name_bytes: int | None = None
    max_value_bytes: int | None = None
    max_document_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """One group at one moment.

    Attributes:
        version: As of a snapshot.
        items: Their number; `None` where it cannot be read, such as a malformed file.
        origin: Its place in the engine, such as a file.
        stale: Whether this process goes on with earlier values since the engine did not answer.
    """

    scope: Scope
    version: str
    items: int | None
    origin: str
    stale: bool = False


class ConfigurationDriver(Driver[SettingsT]):
    """A scope that does not exist reads as an empty snapshot with version `""`; it may be created later."""

    @property
    def limits(self) -> ConfigurationLimits:
        """The most that the engine holds. Read once, before anything is opened."""
        return ConfigurationLimits()

    @abstractmethod
    def get(self, scope: Scope) -> Snapshot:
        """Return the present items of *scope*, or of the first of its candidates that the engine has.

        With LABELS the engine falls back to the unlabelled scope; whether an application falls back to the
        component's own items is the engine's choice, and documented there.
        """

    @abstractmethod
    def version(self, scope: Scope) -> str:
        """Return the present version at the least cost the engine allows: the core polls with it."""

    def servers(self) -> Sequence[Server]:
        """Return the addresses of which one takes connections if the engine is up; none where that is not known.

        It *must not* import the library of the engine. Where none of them does, a start that has values kept serves
        these before `get` is called, which may take long to prepare, or to give up.
        """
        return ()

    def has_lost(self, known: str) -> bool:
        """Return whether the engine has lost what it had at the version *known*, so that nobody removed it.

        Asked where a scope that had values reads as one that does not exist, as after the loss of a disk. Where the
        engine cannot tell, they were removed.
        """
        del known
        return False

    def last_known(self, scope: Scope) -> Snapshot | None:
        """Return values that another client of the engine has kept on this machine; `None` where it kept none.

        Asked while the engine does not answer and neither this process nor its component on disk has any.
        """
        del scope
        return None

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """Return the present version of each scope whose version differs from *known*, as soon as there is one.

        Empty when *timeout_s* passed first, or when `wake` or `close` came. Must check before it waits, and return a
        change again until *known* has it: the caller may have failed before it read the scope. One call watches all
        scopes, because one thread makes it. Never called where WATCH is not the driver's.
        """
        raise UnsupportedError(
            f"{type(self).__name__} cannot watch {len(known)} scopes for {timeout_s} s: poll"
        )

    def wake(self) -> None:
        """Make the `watch` that is under way return now, or the next one if there is none.

        The scopes to watch have changed. A driver that cannot do it does not override this, and new scopes are
        then watched after the *timeout_s* of the present call.
        """

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """Write these items to *scope* itself, leave its others, and return its new version.

        A half-written scope must never be visible to a reader. Absent SAVE: never called.
        """
        raise UnsupportedError(f"{type(self).__name__} cannot write {len(items)} items to {scope}")

    def save_document(self, scope: Scope, content: str) -> str:
        """Write *content* as the whole of *scope*, as `save` does. Absent SAVE or DOCUMENTS: never called."""
        raise UnsupportedError(f"{type(self).__name__} cannot write {scope} ({len(content)} characters)")

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """Remove these keys from *scope* itself (missing ones are ignored) and return its new version.

        Absent DELETE: never called.
        """
        raise UnsupportedError(f"{type(self).__name__} cannot remove {len(keys)} keys from {scope}")

    def edit(self, scope: Scope, change: Edit, if_version: str) -> str:
        """Make *change* to *scope* itself if it reads as *if_version* now, and return its new version. CONDITIONAL.

        Nothing *may* be visible of a half of it. The default compares and then writes, in several steps: for an engine
        that cannot do better, and declares CONDITIONAL approximate.

        Raises:
            ConflictError: It reads as another version. Nothing was written.
        """
        check_version(scope, self.version(scope), if_version)
        if change.content is not None:
            return self.save_document(scope, change.content)
        if change.items:
            self.save(scope, change.items)
        return self.delete(scope, change.gone) if change.gone else self.version(scope)

    def history(self, scope: Scope, most: int) -> Sequence[Revision]:
        """Return up to *most* versions of *scope* itself, the newest first, the present one included.

        Absent HISTORY: never called.
        """
        raise UnsupportedError(f"{type(self).__name__} keeps no {most} versions of {scope}")

    def inspect(self) -> Iterator[GroupStatus]:
        """Yield each group that the engine has, once, in no order. Absent INSPECT: never called."""
        raise UnsupportedError(f"{type(self).__name__} cannot list its groups")


def check_version(scope: Scope, present: str, wanted: str) -> None:
    """Check that a group has not changed.

    Raises:
        ConflictError: *present* is not the *wanted* version.
    """
    if present != wanted:
        raise ConflictError(
            f"group {scope} was changed meanwhile: it reads as version {present!r}, not {wanted!r}. Nothing was"
            " written; read it again"
        )
