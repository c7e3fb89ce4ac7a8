"""Configuration in the memory of this process, for tests and experiments."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import NATIVE, How, Support
from capa_core.blocks.configuration import edits
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
from capa_core.errors import ClosedError

_MOST_REVISIONS = 20


class MemoryConfigurationSettings(BaseModel):
    """Limits: see `MemoryStateSettings`.

    Attributes:
        max_value_bytes: The largest value; `None` for no limit.
        max_document_bytes: The largest document; `None` for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_value_bytes: int | None = Field(default=None, gt=0)
    max_document_bytes: int | None = Field(default=None, gt=0)


class MemoryConfiguration(ConfigurationDriver[MemoryConfigurationSettings]):
    """Snapshots in a dict. A scope falls back to the unlabelled one, then to the component's own."""

    settings_type = MemoryConfigurationSettings
    features = {
        ConfigurationFeature.WATCH: NATIVE,
        ConfigurationFeature.LAST_KNOWN_GOOD: Support(How.NATIVE, "memory is never down"),
        ConfigurationFeature.SAVE: NATIVE,
        ConfigurationFeature.DELETE: NATIVE,
        ConfigurationFeature.LABELS: NATIVE,
        ConfigurationFeature.TAGS: NATIVE,
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: NATIVE,
        ConfigurationFeature.CONDITIONAL: NATIVE,
        ConfigurationFeature.HISTORY: NATIVE,
    }

    def __init__(self, settings: MemoryConfigurationSettings) -> None:
        super().__init__(settings)
        self._snapshots: dict[Scope, Snapshot] = {}
        self._past: dict[Scope, deque[Revision]] = {}
        self._writes = 0
        self._closed = False
        self._woken = False
        self._changed = threading.Condition()

    @property
    def limits(self) -> ConfigurationLimits:
        """See `ConfigurationDriver.limits`."""
        return ConfigurationLimits(
            max_value_bytes=self.settings.max_value_bytes, max_document_bytes=self.settings.max_document_bytes
        )

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`."""
        with self._changed:
            self._check_open()
            return self._serving(scope)

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`."""
        return self.get(scope).version

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        found: dict[Scope, str] = {}

        def ready() -> bool:
            found.update(
                (scope, now) for scope, old in known.items() if (now := self._serving(scope).version) != old
            )
            return bool(found) or self._woken or self._closed

        with self._changed:
            self._changed.wait_for(ready, timeout_s)
            self._woken = False
        return found

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """See `ConfigurationDriver.save`."""
        return self._write(scope, lambda old, version: edits.with_items(scope, old, items, version))

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`."""
        return self._write(scope, lambda _old, version: edits.document(scope, content, version))

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`."""
        return self._write(scope, lambda old, version: edits.without_keys(scope, old, keys, version))

    def edit(self, scope: Scope, change: Edit, if_version: str) -> str:
        """See `ConfigurationDriver.edit`."""
        with self._changed:
            check_version(scope, self._serving(scope).version, if_version)
            return self._write(scope, lambda old, version: edits.changed(scope, old, change, version))

    def history(self, scope: Scope, most: int) -> Sequence[Revision]:
        """See `ConfigurationDriver.history`: the last 20."""
        with self._changed:
            self._check_open()
            return list(self._past.get(scope, ()))[:most]

    def inspect(self) -> Iterator[GroupStatus]:
        """See `ConfigurationDriver.inspect`."""
        with self._changed:
            self._check_open()
            held = list(self._snapshots.items())
        return (
            GroupStatus(scope=scope, version=one.version, items=len(one.items), origin="memory")
            for scope, one in held
        )

    def ping(self) -> str:
        """See `Driver.ping`."""
        with self._changed:
            self._check_open()
            return f"memory: {len(self._snapshots)} groups in this process"

    def close(self) -> None:
        """See `Driver.close`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._changed = threading.Condition()

    def _serving(self, scope: Scope) -> Snapshot:
        return next(
            (self._snapshots[one] for one in scope.candidates() if one in self._snapshots), edits.NOTHING
        )

    def _write(self, scope: Scope, change: Callable[[Snapshot, str], Snapshot]) -> str:
        with self._changed:
            self._check_open()
            self._writes += 1
            new = change(self._snapshots.get(scope, edits.NOTHING), str(self._writes))
            if new is not self._snapshots.get(scope, edits.NOTHING):
                self._snapshots[scope] = new
                past = self._past.setdefault(scope, deque(maxlen=_MOST_REVISIONS))
                past.appendleft(edits.revision(new, str(self._writes)))
            self._changed.notify_all()
            return self._serving(scope).version

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this memory configuration is closed")
