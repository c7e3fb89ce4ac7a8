"""A configuration driver over a state engine with transactions: a group is one value, and another tells of changes.

The driver of such an engine is a class with a name:

    class RedisConfiguration(ConfigurationOverState[RedisStateSettings]):
        state_type = RedisState
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, ClassVar
from urllib.parse import quote

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, Feature, Support
from capa_core.blocks.configuration import edits
from capa_core.blocks.configuration._stored import optional_text, seconds, text, texts
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
    check_version,
)
from capa_core.blocks.state.driver import LONGEST_KEY, Put, StateDriver, StateFeature, StateItem
from capa_core.driver import DriverOver, SettingsT
from capa_core.errors import ClosedError, InvalidArgumentError, SettingsError

_GROUP = "group/"
_PAST = "past/"
_MOST_REVISIONS = 20
_CHANGED = "changed"
"""The key whose value is written with each change of a group: one wait is for all of them."""
_SLICE_S = 0.5
"""Seconds after which a watch looks whether it is to end."""
_OVERHEAD = 8
"""Bytes that a byte of a value has in JSON, at most, names and marks of a small group included."""


class ConfigurationOverState(DriverOver[SettingsT], ConfigurationDriver[SettingsT]):
    """Configuration over a state engine; a subclass names the engine's `state_type`, and takes its settings.

    A group is JSON at `group/<application>/<group>/<label>`, each percent-encoded: `items` (key → value, version, tags,
    time), and `content` for a document. Its last 20 versions are at `past/…`, fewer if they are large. A scope falls
    back to the unlabelled one, then to the component's own. What another program writes there is seen with the next
    call of `watch`, within seconds.
    """

    state_type: ClassVar[type[StateDriver[Any]]]
    """The driver of the state underneath. It has TRANSACTION, SCAN and BULK; without WAIT it is asked now and then."""
    in_transactions: ClassVar[bool] = True
    """Whether a group, its versions and the notice are written all or not at all. Where the engine has no transactions
    the group itself is still written as a whole, and only if it has not changed; a lost notice costs seconds."""
    features: ClassVar[Mapping[Feature, Support]] = {
        ConfigurationFeature.WATCH: BY_DRIVER,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: NATIVE,
        ConfigurationFeature.DELETE: NATIVE,
        ConfigurationFeature.LABELS: BY_DRIVER,
        ConfigurationFeature.TAGS: NATIVE,
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: NATIVE,
        ConfigurationFeature.CONDITIONAL: NATIVE,
        ConfigurationFeature.HISTORY: BY_DRIVER,
    }

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self._state = self.state_type(settings)
        support = self._state.features[StateFeature.TRANSACTION]
        if self.in_transactions and not support:
            raise SettingsError(f"configuration is written in transactions: {support.note}")
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._watching = threading.Lock()
        self._woken = threading.Event()

    @property
    def under(self) -> StateDriver[Any]:
        """See `DriverOver.under`."""
        return self._state

    @property
    def limits(self) -> ConfigurationLimits:
        """See `ConfigurationDriver.limits`: a group is one value of the state."""
        most = self._state.limits.max_value_bytes
        part = None if most is None else most // _OVERHEAD
        return ConfigurationLimits(max_value_bytes=part, max_document_bytes=part)

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`.

        Raises:
            SettingsError: Another program has put something else there; the message names the key.
        """
        item = self._serving([scope])[scope]
        return edits.NOTHING if item is None else _read(item)[1]

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: the etag of the value."""
        return self._versions([scope])[scope]

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        end = time.monotonic() + timeout_s
        try:
            with self._watching:
                while not self._closed:
                    changed = (
                        self._etag_of_changes()
                    )  # before the versions: a change in between ends the wait
                    now = self._versions(list(known))
                    if found := {scope: new for scope, new in now.items() if new != known[scope]}:
                        return found
                    if not self._wait_for_change(changed, end):
                        break
        except ClosedError:  # a look was slower than `close` waits
            if not self._closed:
                raise
        return {}

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`: a watch ends within half a second."""
        self._woken.set()

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """See `ConfigurationDriver.save`."""
        return self._change(scope, lambda old, version: edits.with_items(scope, old, items, version))

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`."""
        return self._change(scope, lambda _old, version: edits.document(scope, content, version))

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`."""
        return self._change(scope, lambda old, version: edits.without_keys(scope, old, keys, version))

    def edit(self, scope: Scope, change: Edit, if_version: str) -> str:
        """See `ConfigurationDriver.edit`."""

        def make(old: Snapshot, version: str) -> Snapshot:
            # Of the group that serves, which may be another one; the transaction compares this one's own once more.
            check_version(scope, self.version(scope), if_version)
            return edits.changed(scope, old, change, version)

        return self._change(scope, make)

    def history(self, scope: Scope, most: int) -> Sequence[Revision]:
        """See `ConfigurationDriver.history`."""
        return self._past(scope)[:most]

    def inspect(self) -> Iterator[GroupStatus]:
        """See `ConfigurationDriver.inspect`."""
        for key in self._state.scan(_GROUP):
            if (item := self._state.get(key)) is not None:
                scope, snapshot = _read(item)
                yield GroupStatus(
                    scope=scope,
                    version=item.etag,
                    items=len(snapshot.items),
                    origin=f"{key} at {self.address()}",
                )

    def close(self) -> None:
        """See `Driver.close`. A watch that is under way ends before."""
        self._closed = True
        self._woken.set()
        ended = self._watching.acquire(timeout=2 * _SLICE_S)
        super().close()
        if ended:
            self._watching.release()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._begin()
        super().forget()

    def _change(self, scope: Scope, change: Callable[[Snapshot, str], Snapshot]) -> str:
        """Store what *change* makes of the group and a new version of its items, as often as others come before."""
        key = _key(scope)
        while True:
            item = self._state.get(key)
            old = edits.NOTHING if item is None else _read(item)[1]
            version = uuid.uuid4().hex[:16]
            new = change(old, version)
            if new is old:
                return self.version(scope)
            past = self._with_past(scope, edits.revision(new, version))
            if self._stored(self._put(scope, key, new, item), past):
                return self.version(scope)

    def _stored(self, group: Put, past: Put) -> bool:
        """Write a changed group; return false if somebody else has changed it."""
        if self.in_transactions:
            return bool(self._state.transact([group, past, _TOLD]))
        if self._state.put(group) is None:
            return False
        self._state.put_many([past, _TOLD])
        return True

    def _past(self, scope: Scope) -> list[Revision]:
        """Return the versions that are kept; none if another program has put something else there."""
        item = self._state.get(_key(scope, _PAST))
        try:
            return [] if item is None else [_revision(one) for one in json.loads(item.value)]
        except (ValueError, KeyError, TypeError, RecursionError):
            return []

    def _with_past(self, scope: Scope, newest: Revision) -> Put:
        """Return the write of the versions with *newest*, as many of them as fit in one value."""
        kept = [asdict(one) for one in (newest, *self._past(scope))][:_MOST_REVISIONS]
        most = self._state.limits.max_value_bytes
        while len(value := json.dumps(kept, ensure_ascii=False).encode()) > (most or math.inf):
            kept.pop()
        return Put(_key(scope, _PAST), value)

    def _put(self, scope: Scope, key: str, new: Snapshot, old: StateItem | None) -> Put:
        value = _written(scope, new)
        most = self._state.limits.max_value_bytes
        if most is not None and len(value) > most:
            raise InvalidArgumentError(
                f"group {scope} would have {len(value):,} bytes, and the engine stores at most {most:,} as one value."
                " Nothing was written. Divide it into several groups."
            )
        return Put(key, value, if_etag="" if old is None else old.etag)

    def _versions(self, scopes: Sequence[Scope]) -> dict[Scope, str]:
        return {scope: item.etag if item else "" for scope, item in self._serving(scopes).items()}

    def _serving(self, scopes: Sequence[Scope]) -> dict[Scope, StateItem | None]:
        """Return the value that serves each scope, read at one moment."""
        keys = {scope: [_key(one) for one in scope.candidates()] for scope in scopes}
        wanted = list(dict.fromkeys(key for several in keys.values() for key in several))
        found = dict(zip(wanted, self._state.get_many(wanted), strict=True)) if wanted else {}
        return {
            scope: next((item for key in several if (item := found[key])), None)
            for scope, several in keys.items()
        }

    def _etag_of_changes(self) -> str:
        item = self._state.get(_CHANGED)
        return item.etag if item else ""

    def _wait_for_change(self, etag: str, end: float) -> bool:
        """Return true as soon as something has changed; false at *end*, or when `wake` or `close` comes."""
        while (left_s := end - time.monotonic()) > 0 and not self._woken.is_set():
            if self._is_told(etag, min(left_s, _SLICE_S)):
                return True
        self._woken.clear()
        return False

    def _is_told(self, etag: str, timeout_s: float) -> bool:
        if self._state.features[StateFeature.WAIT].by_driver:
            return self._state.wait(_CHANGED, etag, timeout_s) is not None
        self._woken.wait(timeout_s)
        return self._etag_of_changes() != etag


_TOLD = Put(_CHANGED, b"", notify=True)


def _key(scope: Scope, kind: str = _GROUP) -> str:
    """Return the key of a group; for names that are too long for one, a digest of them."""
    names = "/".join(quote(name, safe="") for name in (scope.application, scope.group, scope.label))
    if len(_GROUP) + len(names) > LONGEST_KEY:
        names = hashlib.sha256(names.encode()).hexdigest()
    return kind + names


def _written(scope: Scope, snapshot: Snapshot) -> bytes:
    items = {
        item.key: {
            "value": item.value,
            "version": item.version,
            "tags": dict(item.tags),
            "at": item.changed_at,
        }
        for item in snapshot.items.values()
    }
    whole = {
        "application": scope.application,
        "group": scope.group,
        "label": scope.label,
        "content": snapshot.content,
        "items": items,
    }
    return json.dumps(whole, ensure_ascii=False).encode()


def _read(item: StateItem) -> tuple[Scope, Snapshot]:
    """Return the scope and the items of a stored group.

    Raises:
        SettingsError: It is not what `_written` writes.
    """
    try:
        whole = json.loads(item.value)
        scope = Scope(*(text(whole[name]) for name in ("application", "group", "label")))
        content = optional_text(whole["content"])
        items = {
            key: ConfigurationItem(
                key,
                text(one["value"]),
                text(one["version"]),
                texts(one["tags"]),
                seconds(one.get("at", 0)),  # written by another program, or before there was one
            )
            for key, one in whole["items"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(
            f"the value at {item.key!r} is not a group of configuration ({type(error).__name__}: {error}). Another"
            " program has written it: correct or remove it."
        ) from None
    return scope, Snapshot(items, item.etag, content)


def _revision(stored: Any) -> Revision:
    return Revision(
        version=text(stored["version"]),
        changed_at=seconds(stored["changed_at"]),
        values=texts(stored["values"]),
        content=optional_text(stored["content"]),
    )
