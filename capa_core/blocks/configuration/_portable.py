"""Live configuration: read keys and documents, watch their changes, write them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from capa_core.abilities import BY_CORE, How
from capa_core.blocks.configuration._events import Listener, Subscription
from capa_core.blocks.configuration._group import Follower, Following
from capa_core.blocks.configuration._groups import Groups
from capa_core.blocks.configuration._snapshot_cache import SnapshotCache
from capa_core.blocks.configuration._view import ConfigurationView
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    ConfigurationLimits,
    Edit,
    GroupStatus,
    Revision,
    Scope,
    Snapshot,
)
from capa_core.blocks.configuration.formats import KEYED, TEXTS, suffix_of
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.checks import check_count, check_encodable, check_unicode
from capa_core.call.handlers import check_plain
from capa_core.call.limits import refuse
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import ClosedError, InvalidArgumentError, UnsupportedError

POLL_S = 1.0
_COMPENSATED = (ConfigurationFeature.WATCH, ConfigurationFeature.LAST_KNOWN_GOOD)


class Configuration(Portable[ConfigurationDriver[Any]]):
    """Keys and documents in groups, live. Safe for many threads.

    Args:
        folder: Where last known good values are stored, in a folder `configuration`; `None` stores none.
        poll_s: Seconds between two polls of an engine that cannot watch; `None` takes the driver
            settings' `poll_s`, or 1.
    """

    def __init__(
        self,
        driver: ConfigurationDriver[Any],
        name: str = "default",
        policy: Policy = DEFAULT_POLICY,
        *,
        folder: Path | None = None,
        poll_s: float | None = None,
    ) -> None:
        super().__init__("configuration", driver, name, policy)
        self._features = {
            key: BY_CORE if not how and key in _COMPENSATED else how for key, how in driver.features.items()
        }
        caches = not driver.features[ConfigurationFeature.LAST_KNOWN_GOOD].by_driver
        self._groups = Groups(
            driver,
            self._guard,
            cache=SnapshotCache(folder, name) if folder is not None and caches else None,
            poll_s=poll_s or getattr(driver.settings, "poll_s", None) or POLL_S,
        )
        self._lock = threading.Lock()
        self._closed = False
        self._limits = driver.limits

    @property
    def limits(self) -> ConfigurationLimits:
        """The most that the component stores; larger arguments are refused before they are sent."""
        return self._limits

    # Reading

    def get(
        self,
        keys: Collection[str] | None = None,
        *,
        application: str = "",
        group: str = "application",
        label: str = "",
    ) -> dict[str, ConfigurationItem]:
        """Read the present items from the engine; of *keys*, those that exist.

        While the engine does not answer, the items that were last read are returned and a warning is logged.

        Args:
            keys: `None` for all.
            application: The application of the items; `""` for the component's own.
            group: The set of items, or a document such as `testjson.json`.
            label: The variant; one that does not exist falls back to the unlabelled.

        Raises:
            InvalidArgumentError: A name is malformed.
            SettingsError: The content in the engine is malformed; the message names the place.
            UnavailableError: The engine did not answer, and nothing was read before.
        """
        items = self._groups.read(self._scope(application, group, label)).items
        if keys is None:
            return dict(items)
        return {key: items[key] for key in keys if key in items}

    def value(
        self,
        key: str,
        default: str | None = None,
        *,
        application: str = "",
        group: str = "application",
        label: str = "",
    ) -> str | None:
        """Return the live text at *key*, or *default*; raises as `view` does.

        For millions of reads keep the `view`: its look-up costs more than a read.
        """
        return self._groups.open(self._scope(application, group, label)).view.get(key, default)

    def view(
        self, group: str = "application", *, application: str = "", label: str = ""
    ) -> ConfigurationView:
        """Return the live mapping of one group, the same object each time; the first call reads from the engine.

        Raises:
            InvalidArgumentError: A name is malformed.
            SettingsError: The content in the engine is malformed; the message names the place.
            UnavailableError: The engine did not answer and nothing was read before, in this process or an earlier
                one. With a last known good value there is no error: the view is `stale` until the engine answers.
        """
        return self._groups.open(self._scope(application, group, label)).view

    def snapshot(self, group: str = "application", *, application: str = "", label: str = "") -> Snapshot:
        """Read a group from the engine now: its items, its version, and its text if it is a document.

        Unlike the other calls it never falls back to values that were read before: for tools that compare and copy.

        Raises:
            InvalidArgumentError: A name is malformed.
            SettingsError: The content in the engine is malformed; the message names the place.
            UnavailableError: The engine did not answer.
        """
        return self._guard.safe("get", self._driver.get, self._scope(application, group, label))

    def history(
        self, group: str = "application", *, application: str = "", label: str = "", most: int = 20
    ) -> list[Revision]:
        """Return the latest versions of exactly this group, the newest first, the present one included.

        Args:
            most: So many at most; an engine may keep fewer.

        Raises:
            InvalidArgumentError: A name is malformed, or *most* is not 1 to 10,000.
            UnsupportedError: The component has no HISTORY.
            UnavailableError: The engine did not answer.
        """
        self._needs(ConfigurationFeature.HISTORY)
        check_count("most", most)
        scope = self._scope(application, group, label)
        return list(self._guard.safe("history", self._driver.history, scope, most))

    # Watching

    @call_traits(opens=True, handler="listener")
    def watch(
        self,
        listener: Listener,
        *,
        application: str = "",
        group: str = "application",
        label: str = "",
        keys: Collection[str] | None = None,
        prefixes: Collection[str] | None = None,
    ) -> Subscription:
        """Call *listener* with a `ChangeEvent` after each change of the group, until the subscription is closed.

        Listeners are called one after the other in the order in which they were added, by one thread of the component;
        each sees the changed views, which may change again while a slow one runs. An exception of a listener is
        logged, and the others are called all the same.

        Args:
            keys: Only events that change one of these, or a key with one of *prefixes*, are delivered.
            prefixes: See *keys*. Without both, every event is delivered.

        Raises:
            InvalidArgumentError: A name is malformed, or *listener* is not a plain function.
            UnavailableError: As for `view`.
        """
        check_plain("listener", listener)
        entry = self._groups.open(self._scope(application, group, label))
        subscription = Subscription(listener, keys, prefixes)
        entry.join(subscription)
        return subscription

    def follow(
        self, follower: Follower, *, application: str = "", group: str = "application", label: str = ""
    ) -> Callable[[], None]:
        """Call *follower* with the view now, and again as part of each change, before any listener is called.

        For results that are computed from the values and must never be older than they are. It must be quick, and must
        not call this component: it is called while the group is locked. An exception that it raises now goes to the
        caller; one that it raises at a change is logged.

        Returns:
            A function that ends it; it may be called anywhere, also by a finalizer.

        Raises:
            InvalidArgumentError: A name is malformed, or *follower* is not a plain function.
            UnavailableError: As for `view`.
        """
        check_plain("follower", follower)
        entry = self._groups.open(self._scope(application, group, label))
        following = Following(follower)
        entry.follow(following)
        return following.close

    # Inspecting

    def inspect(self) -> Iterator[GroupStatus]:
        """Yield each group of the engine with version, number of items, place, and whether this process is behind.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        self._needs(ConfigurationFeature.INSPECT)
        return self._inspected()

    def summary(self) -> str:
        """See `Portable.summary`."""
        if not self._features[ConfigurationFeature.INSPECT]:
            return ""
        return counted(sum(1 for _ in self.inspect()), "group")

    def _inspected(self) -> Iterator[GroupStatus]:
        for status in self._guard.each("inspect", self._driver.inspect):
            yield replace(status, stale=self._groups.is_stale(status.scope))

    # Writing

    def save(
        self,
        items: Mapping[str, str] | Iterable[ConfigurationItem],
        *,
        application: str = "",
        group: str = "application",
        label: str = "",
    ) -> str:
        """Write these items, leave the others, and return the new version. Views of this component follow at once.

        The items belong to exactly this application and label: they hide those that the two fell back to before.

        Raises:
            InvalidArgumentError: A name is malformed, or a key does not fit the document.
            UnsupportedError: The component cannot write, or not this kind of group.
            UnavailableError: The engine did not answer. The items may or may not be written.

        Retries: safe; the last writer wins.
        """
        self._needs(ConfigurationFeature.SAVE)
        scope = self._scope(application, group, label)
        written = self._items(items)
        version = self._guard.safe("save", self._driver.save, scope, written)
        self._groups.refresh(scope)
        return version

    def save_document(self, content: str, *, group: str, application: str = "", label: str = "") -> str:
        """Write *content* as the whole of the document *group* and return the new version; raises as `save` does.

        Raises:
            InvalidArgumentError: *group* has no suffix that makes it a document.
            SettingsError: *content* is malformed for the suffix of *group*. Nothing was written.
        """
        self._needs(ConfigurationFeature.SAVE)
        self._check_document(group, content)
        scope = self._scope(application, group, label)
        version = self._guard.safe("save document", self._driver.save_document, scope, content)
        self._groups.refresh(scope)
        return version

    def delete(
        self, keys: Collection[str], *, application: str = "", group: str = "application", label: str = ""
    ) -> str:
        """Remove these keys, passing over missing ones, and return the new version.

        Raises:
            InvalidArgumentError: A name is malformed.
            UnsupportedError: The component cannot delete.
            UnavailableError: The engine did not answer. The keys may or may not be removed.

        Retries: safe.
        """
        self._needs(ConfigurationFeature.DELETE)
        scope = self._scope(application, group, label)
        version = self._guard.safe("delete", self._driver.delete, scope, tuple(keys))
        self._groups.refresh(scope)
        return version

    def edit(
        self,
        items: Mapping[str, str] | Iterable[ConfigurationItem] = (),
        *,
        if_version: str,
        gone: Collection[str] = (),
        content: str | None = None,
        application: str = "",
        group: str = "application",
        label: str = "",
    ) -> str:
        """Write items and remove keys in one step, unless the group has changed since it was read.

        Args:
            if_version: The version of the `snapshot` that the change was made for; `""` for a group that is not there.
            gone: Keys to remove; missing ones are passed over.
            content: The whole of a document, in place of items and keys.

        Raises:
            InvalidArgumentError: As for `save`.
            UnsupportedError: The component cannot write, or cannot compare versions.
            ConflictError: The group has another version. Nothing was written.
            UnavailableError: The engine did not answer. The change may or may not be made.

        Retries: read the group again first.
        """
        wanted = {ConfigurationFeature.SAVE, ConfigurationFeature.CONDITIONAL}
        wanted |= {ConfigurationFeature.DELETE} if gone else set()
        for feature in ConfigurationFeature:
            if feature in wanted:
                self._needs(feature)
        if content is not None:
            self._check_document(group, content)
        scope = self._scope(application, group, label)
        change = Edit(items=self._items(items), gone=tuple(gone), content=content)
        version = self._guard.once("edit", self._driver.edit, scope, change, if_version)
        self._groups.refresh(scope)
        return version

    # Life cycle

    def close(self) -> None:
        """End the watch and release the engine. Views serve their last snapshots. A second call does nothing."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            policy = self._guard.policy
            self._groups.stop(min(policy.attempt_s, policy.deadline_s))
            super().close()

    def forget(self) -> None:
        """Drop the state that a fork copied into this child; watch again if the parent did. The runtime calls it."""
        self._lock = threading.Lock()
        super().forget()
        self._groups.forget()

    # Inside

    def _scope(self, application: str, group: str, label: str) -> Scope:
        if self._closed:
            raise ClosedError(f"configuration {self.name!r} is closed")
        for kind, name in (("application", application), ("group", group), ("label", label)):
            if len(name) > self._limits.max_name_length or "\0" in name or (kind == "group" and not name):
                raise InvalidArgumentError(f"{kind} {name!r}: names have 1 to 255 characters without NUL")
            self._check_bytes(f"{kind} {name!r}", name, "max_name_bytes")
        return Scope(application, group, label)

    def _check_document(self, group: str, content: str) -> None:
        self._needs(ConfigurationFeature.DOCUMENTS)
        if not suffix_of(group):
            raise InvalidArgumentError(
                f"group {group!r}: a document's name ends in one of {', '.join(KEYED + TEXTS)}"
            )
        check_encodable(f"document {group!r}", content)
        self._check_bytes(f"document {group!r}", content, "max_document_bytes")

    def _check_bytes(self, thing: str, text: str, limit: str) -> None:
        most = getattr(self._limits, limit)
        # A character has four bytes at most: short texts need not be encoded to know that they fit.
        if most is not None and 4 * len(text) > most and len(text.encode()) > most:
            refuse(f"configuration {self.name!r}", thing, len(text.encode()), self._limits, limit)

    def _items(self, items: Mapping[str, str] | Iterable[ConfigurationItem]) -> list[ConfigurationItem]:
        if isinstance(items, Mapping):
            items = [ConfigurationItem(key, value) for key, value in items.items()]
        written = list(items)
        for item in written:
            if not item.key or not isinstance(item.value, str):
                raise InvalidArgumentError(f"item {item.key!r}: a key is not empty and a value is text")
            check_unicode("key", item.key)
            check_encodable(f"the value of {item.key!r}", item.value)
            self._check_bytes(f"the value of {item.key!r}", item.value, "max_value_bytes")
            if item.tags:
                self._needs(ConfigurationFeature.TAGS)
        return written

    def _needs(self, feature: ConfigurationFeature) -> None:
        support = self._driver.features[feature]
        if support.how is How.ABSENT:
            raise UnsupportedError(
                f"configuration {self.name!r}: {type(self._driver).__name__} has no {feature}: {support.note}. "
                f"Choose a driver that has it in [configuration.{self.name}]."
            )
