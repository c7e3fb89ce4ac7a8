"""`Config`: one namespace by key, with types, and the events of its listeners, as in Apollo's Java client."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, TypeVar, cast

from capa_apollo._sources import plain
from capa_apollo._space import Namespace, Space, own_space
from capa_core import default_runtime
from capa_core.errors import InvalidArgumentError
from capa_core.live import Live, convert

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ChangeEvent, ConfigurationView, Subscription
    from capa_core.runtime import Runtime

    DefaultT = TypeVar("DefaultT")


class PropertyChangeType(Enum):
    """The kind of a change of a key."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """One key's change; *old_value* is `None` for a key that was added, *new_value* for one that was deleted."""

    app_id: str
    namespace: str
    property_name: str
    old_value: str | None
    new_value: str | None
    change_type: PropertyChangeType


Interest = tuple[frozenset[str], tuple[str, ...]]
"""Keys, and prefixes of keys; both empty for all."""


@dataclass(frozen=True, slots=True)
class ConfigChangeEvent:
    """All changes of a namespace from one release to the next."""

    app_id: str
    namespace: str
    changes: Mapping[str, ConfigChange]
    interested: Interest = field(default=(frozenset(), ()), repr=False)

    def changed_keys(self) -> set[str]:
        """Return the keys that changed."""
        return set(self.changes)

    def interested_changed_keys(self) -> set[str]:
        """Return the keys that changed and that the listener named; all that changed if it named none."""
        keys, prefixes = self.interested
        if not keys and not prefixes:
            return set(self.changes)
        return {key for key in self.changes if key in keys or key.startswith(prefixes)}

    def get_change(self, key: str) -> ConfigChange | None:
        """Return the change of *key*, or `None` if it did not change."""
        return self.changes.get(key)

    def is_changed(self, key: str) -> bool:
        """Return whether *key* changed."""
        return key in self.changes


ChangeListener = Callable[[ConfigChangeEvent], object]


class Config:
    """The live values of one namespace, bound to the default runtime when first read.

    Args:
        namespace: Its name; placeholders are resolved, and one without value and default is an error.
        app_id: Whose namespace; by default that of `[adapters.apollo]`.
    """

    ready: dict[str, str]

    def __init__(self, namespace: str = "application", app_id: str = "") -> None:
        self.namespace = namespace
        self.app_id = app_id
        self._texts: Live[dict[str, str]] = Live(self._sources, _texts, shown_by=self)
        self._subscriptions: dict[ChangeListener, Subscription] = {}

    def get_property(self, key: str, default: DefaultT | None = None) -> str | DefaultT | None:
        """Return the text at *key*, or *default*. `content` is the whole text of a namespace that is a document."""
        try:
            return self.ready.get(key, default)  # without a call: values are read very often
        except AttributeError:
            return self._texts.get().get(key, default)

    def get_int_property(self, key: str, default: int) -> int:
        """Return the whole number at *key*, or *default* if there is none or it is not one."""
        return self._typed(key, int, default)

    def get_float_property(self, key: str, default: float) -> float:
        """Return the number at *key*, or *default* if there is none or it is not one."""
        return self._typed(key, float, default)

    def get_bool_property(self, key: str, default: bool) -> bool:
        """Return the truth value at *key*, or *default* if there is none or it is not one."""
        return self._typed(key, bool, default)

    def get_array_property(self, key: str, delimiter: str, default: list[str]) -> list[str]:
        """Return the text at *key* cut at each *delimiter*, or *default*."""
        text = self.get_property(key)
        return text.split(delimiter) if text is not None else default

    get_long_property = get_int_property
    get_double_property = get_float_property
    get_boolean_property = get_bool_property

    def get_property_names(self) -> set[str]:
        """Return all keys."""
        (source,) = self._sources(default_runtime())
        return set(source.view())

    def add_change_listener(
        self,
        listener: ChangeListener,
        interested_keys: Collection[str] | None = None,
        interested_key_prefixes: Collection[str] | None = None,
    ) -> None:
        """Call *listener* for changes: any, or those of these keys or prefixes. Added twice, it is called once."""
        if listener not in self._subscriptions:
            self._subscriptions[listener] = subscribe(
                listener, self.namespace, self.app_id, interested_keys or (), interested_key_prefixes or ()
            )

    def remove_change_listener(self, listener: ChangeListener) -> bool:
        """Stop calling *listener*; return whether it was called before."""
        subscription = self._subscriptions.pop(listener, None)
        if subscription is not None:
            subscription.close()
        return subscription is not None

    def _sources(self, runtime: Runtime) -> list[Namespace]:
        return [Namespace(own_space(runtime, self.app_id), plain(self.namespace, runtime))]

    def _typed(self, key: str, kind: type[DefaultT], default: DefaultT) -> DefaultT:
        text = self.get_property(key)
        if text is None:
            return default
        try:
            return cast("DefaultT", convert(text.strip(), kind, key))
        except InvalidArgumentError:
            return default


def _texts(views: Sequence[ConfigurationView]) -> dict[str, str]:
    (view,) = views
    return dict(view) if view.content is None else {"content": view.content, **view}


def get_config(namespace: str = "application", app_id: str = "") -> Config:
    """Return the live `Config` of a namespace; nothing is read before the first use."""
    return Config(namespace, app_id)


def subscribe(
    listener: ChangeListener, namespace: str, app_id: str, keys: Collection[str], prefixes: Collection[str]
) -> Subscription:
    """Call *listener* for changes in the default runtime, until the subscription is closed."""
    runtime = default_runtime()
    name = plain(namespace, runtime)
    return subscribe_in(own_space(runtime, app_id), listener, name, (frozenset(keys), tuple(prefixes)))


def subscribe_in(
    space: Space, listener: ChangeListener, namespace: str, interested: Interest = (frozenset(), ())
) -> Subscription:
    """Call *listener* for changes of a namespace in *space*, until the subscription is closed."""

    def notify(event: ChangeEvent) -> None:
        changes = _changes(event, space.app_id, namespace)
        seen = ConfigChangeEvent(space.app_id, namespace, changes, interested)
        if seen.interested_changed_keys():
            listener(seen)

    space.view(namespace)  # reports a namespace that does not exist
    return space.configuration.watch(notify, **space.scope(namespace))


def _changes(event: ChangeEvent, app_id: str, namespace: str) -> dict[str, ConfigChange]:
    found = {
        key: ConfigChange(app_id, namespace, key, one.old, one.new, PropertyChangeType(one.kind.value))
        for key, one in event.changes.items()
    }
    if event.old.content != event.new.content and "content" not in found:
        kind = PropertyChangeType.MODIFIED
        if event.old.content is None or event.new.content is None:
            kind = PropertyChangeType.ADDED if event.old.content is None else PropertyChangeType.DELETED
        found["content"] = ConfigChange(
            app_id, namespace, "content", event.old.content, event.new.content, kind
        )
    return found
