"""Configuration in the memory of this process, for tests and experiments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import NATIVE, How, Support
from capa_core.blocks.configuration import formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    ConfigurationLimits,
    GroupStatus,
    Scope,
    Snapshot,
)
from capa_core.errors import ClosedError

_NOTHING = Snapshot({}, "")


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
    }

    def __init__(self, settings: MemoryConfigurationSettings) -> None:
        super().__init__(settings)
        self._snapshots: dict[Scope, Snapshot] = {}
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

        def change(old: Snapshot, version: str) -> Snapshot:
            added = {item.key: replace(item, version=version) for item in items}
            return self._edited(scope, old, {**old.items, **added}, version)

        return self._write(scope, change)

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`."""
        flat = formats.items(content, formats.suffix_of(scope.group), scope.group)

        def change(old: Snapshot, version: str) -> Snapshot:
            del old
            return Snapshot(
                {key: ConfigurationItem(key, text, version) for key, text in flat.items()}, version, content
            )

        return self._write(scope, change)

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`."""

        def change(old: Snapshot, version: str) -> Snapshot:
            kept = {key: item for key, item in old.items.items() if key not in keys}
            return self._edited(scope, old, kept, version) if len(kept) < len(old.items) else old

        return self._write(scope, change)

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
        return next((self._snapshots[one] for one in scope.candidates() if one in self._snapshots), _NOTHING)

    def _write(self, scope: Scope, change: Callable[[Snapshot, str], Snapshot]) -> str:
        with self._changed:
            self._check_open()
            self._writes += 1
            new = change(self._snapshots.get(scope, _NOTHING), str(self._writes))
            if new is not _NOTHING:
                self._snapshots[scope] = new
            self._changed.notify_all()
            return self._serving(scope).version

    def _edited(
        self, scope: Scope, old: Snapshot, items: Mapping[str, ConfigurationItem], version: str
    ) -> Snapshot:
        if old.content is None:
            return Snapshot(items, version)
        suffix = formats.suffix_of(scope.group)
        values = {key: item.value for key, item in items.items() if item != old.items.get(key)}
        gone = [key for key in old.items if key not in items]
        content = formats.edited(
            formats.deleted(old.content, suffix, gone, scope.group), suffix, values, scope.group
        )
        return Snapshot(items, version, content)

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("this memory configuration is closed")
