"""Configuration in files: TOML, JSON, YAML, properties and plain texts; changes apply at run time.

    config/application.properties        the group `application` (or .toml, .json, .yaml, .yml: the first that exists)
    config/testjson.json                 the document `testjson.json`
    config/<label>/<group>               a variant; a missing one falls back to config/<group>
    config/<application>/[<label>/]<group>   an application's own; a missing one falls back to the above

Only the closest file is used: files are not merged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import BY_DRIVER, NATIVE, How, Support, absent, approximate
from capa_core.blocks.configuration import formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    ConfigurationLimits,
    Edit,
    GroupStatus,
    Scope,
    Snapshot,
    check_version,
)
from capa_core.components.file._folder import Folder, FoundFile, LoadedFile, locked, replace_file, text_of
from capa_core.errors import CapaError, PermissionDeniedError, UnavailableError

SETTLE_S = 0.05
"""Time for which a file must stay the same before its change is reported, so that a write has ended."""

_LONGEST_FILE_NAME = 255
"""Bytes, on all file systems in common use."""

_WRITES = approximate(
    "keys of .properties and .json files; TOML and YAML files are replaced as whole documents only, since "
    "writing single keys would lose their comments"
)


class FileConfigurationSettings(BaseModel):
    """The folder of the files, and the options of reading it.

    Attributes:
        path: The folder, relative to *root*.
        root: The folder of capa.toml; filled in by the runtime.
        poll_s: Seconds between two checks of the files.
        new: The format of a group without suffix that is saved for the first time.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Path("config")
    root: Path = Path()
    poll_s: float = Field(default=0.25, gt=0)
    new: Literal[".properties", ".json"] = ".properties"


class FileConfiguration(ConfigurationDriver[FileConfigurationSettings]):
    """Files of one folder, which need not exist; time, size and inode of a file show whether it has changed."""

    settings_type = FileConfigurationSettings
    features = {
        ConfigurationFeature.WATCH: BY_DRIVER,
        ConfigurationFeature.LAST_KNOWN_GOOD: Support(How.NATIVE, "the files are on this machine"),
        ConfigurationFeature.SAVE: _WRITES,
        ConfigurationFeature.DELETE: _WRITES,
        ConfigurationFeature.LABELS: NATIVE,
        ConfigurationFeature.TAGS: absent("files cannot hold tags"),
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: approximate(
            "a file with keys is listed as a group, also if it is read as a document, and the folder of an application"
            " as a label"
        ),
        ConfigurationFeature.CONDITIONAL: approximate(
            "for writers that use Capa: an editor does not ask before it writes"
        ),
        ConfigurationFeature.HISTORY: absent(
            "a file has one version; the version control of the folder has others"
        ),
    }
    error_types = {PermissionError: PermissionDeniedError, OSError: UnavailableError}

    def __init__(self, settings: FileConfigurationSettings) -> None:
        super().__init__(settings)
        self._folder = Folder(settings.root / settings.path)
        self._writing = threading.Lock()
        self._woken = threading.Event()
        self._closed = False

    @property
    def limits(self) -> ConfigurationLimits:
        """See `ConfigurationDriver.limits`: a group is a file, whose name has a suffix too."""
        return ConfigurationLimits(max_name_bytes=_LONGEST_FILE_NAME - len(".properties"))

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`.

        Raises:
            SettingsError: The file is malformed; the message names it and the line.
            MissingExtraError: It is YAML and PyYAML is not installed.
        """
        held = self._folder.serving(scope)
        return _snapshot(held, scope) if held is not None else Snapshot({}, "")

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: a digest of the file that serves, so that a mere touch is not a change."""
        held = self._folder.serving(scope)
        return held.version if held is not None else ""

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        end = time.monotonic() + timeout_s
        before: Mapping[Scope, str] = {}
        while True:
            now = self._differing(known)
            if settled := {scope: version for scope, version in now.items() if before.get(scope) == version}:
                return settled
            pause = SETTLE_S if now else self.settings.poll_s
            if self._closed or self._woken.wait(min(pause, max(0.0, end - time.monotonic()))):
                self._woken.clear()
                return {}
            if time.monotonic() >= end:
                return {scope: version for scope, version in now.items() if scope in before}
            before = now

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        self._woken.set()

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """See `ConfigurationDriver.save`.

        Raises:
            UnsupportedError: The file is TOML, YAML or a plain text.
        """
        values = {item.key: item.value for item in items}
        return self._edit(scope, lambda text, suffix, source: formats.edited(text, suffix, values, source))

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`."""
        path, suffix = self._folder.place_for(scope, self.settings.new)
        formats.items(content, suffix, scope.group)
        with self._writing, locked(path.parent):
            replace_file(path, content)
        return self.version(scope)

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`.

        Raises:
            UnsupportedError: The file is TOML, YAML or a plain text.
        """
        if self._folder.find(scope) is None:
            return self.version(scope)
        return self._edit(scope, lambda text, suffix, source: formats.deleted(text, suffix, keys, source))

    def edit(self, scope: Scope, change: Edit, if_version: str) -> str:
        """See `ConfigurationDriver.edit`; raises as `save` does."""
        values = {item.key: item.value for item in change.items}

        def edited(text: str, suffix: str, source: str) -> str:
            check_version(scope, self.version(scope), if_version)
            if change.content is not None:
                formats.items(change.content, suffix, source)
                return change.content
            text = formats.edited(text, suffix, values, source) if values else text
            return formats.deleted(text, suffix, change.gone, source) if change.gone else text

        return self._edit(scope, edited)

    def inspect(self) -> Iterator[GroupStatus]:
        """See `ConfigurationDriver.inspect`."""
        for scope in self._folder.scopes():
            found = self._folder.find(scope)
            if found is not None:
                yield self._status(scope, found)

    def _status(self, scope: Scope, found: FoundFile) -> GroupStatus:
        version, items = "", None
        try:
            held = self._folder.read(found)
            version = held.version
            items = len(_snapshot(held, scope).items)
        except CapaError:  # malformed, no file, or its library is missing: `get` raises the reason
            items = None
        return GroupStatus(scope=scope, version=version, items=items, origin=str(found.path))

    def ping(self) -> str:
        """See `Driver.ping`."""
        folder = self._folder.path.resolve()
        return f"files in {folder}" if folder.is_dir() else f"files in {folder}, which does not exist yet"

    def address(self) -> str:
        """See `Driver.address`."""
        return str(self._folder.path)

    def close(self) -> None:
        """See `Driver.close`."""
        self._closed = True
        self._woken.set()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._writing = threading.Lock()
        self._woken = threading.Event()

    def _differing(self, known: Mapping[Scope, str]) -> Mapping[Scope, str]:
        return {scope: now for scope, old in known.items() if (now := self.version(scope)) != old}

    def _edit(self, scope: Scope, change: Callable[[str, str, str], str]) -> str:
        path, suffix = self._folder.place_for(scope, self.settings.new)
        with self._writing, locked(path.parent):
            text = ""
            if (found := self._folder.find(scope)) is not None:
                path, suffix, text = found.path, found.suffix, text_of(self._folder.read(found))
            new = change(text, suffix, str(path))
            if new != text:
                replace_file(path, new)
        return self.version(scope)


def _snapshot(held: LoadedFile, scope: Scope) -> Snapshot:
    text = text_of(held)
    flat = formats.items(text, held.found.suffix, str(held.found.path))
    at = held.found.changed_s
    items = {key: ConfigurationItem(key, value, held.version, changed_at=at) for key, value in flat.items()}
    is_document = bool(formats.suffix_of(scope.group)) or held.found.suffix not in formats.KEYED
    return Snapshot(items, held.version, text if is_document else None)
