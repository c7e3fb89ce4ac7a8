"""Configuration in QConfig: an application is a QConfig group, a group is a file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.configuration import edits, formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    Scope,
    Snapshot,
)
from capa_core.blocks.configuration.held_poll import HeldPoll
from capa_core.components.qconfig._client import File, Servers, Version
from capa_core.components.qconfig._settings import QConfigSettings
from capa_core.errors import InvalidArgumentError, UnavailableError
from capa_core.http import ERROR_TYPES
from capa_core.reach import Server, http_port, servers_of

_MOST_LOADS = 5
"""A file may change between its version and its text; more often than this in a row, something is wrong."""
_BY_ADMIN = absent("files are edited, reviewed and published in QConfig's admin")


class QConfigConfiguration(ConfigurationDriver[QConfigSettings]):
    """Published files, read through the client interface that QConfig's own client uses; never tried on QConfig.

    A group without a suffix is the file of that name with `.properties`. The server falls back from a part of the
    environment to the whole; an application does not fall back.
    """

    settings_type = QConfigSettings
    features = {
        ConfigurationFeature.WATCH: NATIVE,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: _BY_ADMIN,
        ConfigurationFeature.DELETE: _BY_ADMIN,
        ConfigurationFeature.LABELS: absent("a program has one profile: set `env` and `sub_env`"),
        ConfigurationFeature.TAGS: absent("files of QConfig have comments, which clients do not get"),
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: absent("its list of files needs a login to the admin"),
        ConfigurationFeature.CONDITIONAL: _BY_ADMIN,
        ConfigurationFeature.HISTORY: absent("its admin shows earlier versions"),
    }
    error_types = ERROR_TYPES

    def __init__(self, settings: QConfigSettings) -> None:
        super().__init__(settings)
        self._servers = Servers(settings)
        self._poll = HeldPoll[Mapping[File, Version]](
            self._servers.begin, hold_s=settings.hold_s, timeout_s=settings.timeout_s
        )
        self._held: dict[File, Version] = {}
        """The version of each file that was read last."""

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`.

        Raises:
            PermissionDeniedError: The token is wrong, or the file is another application's own.
            UnavailableError: The server failed, or the answer is not one of QConfig.
            SettingsError: The file is malformed.
        """
        if scope.label:
            return edits.NOTHING
        file = self._file(scope)
        for _ in range(_MOST_LOADS):
            version = self._check(file)
            if not version.is_there:
                return edits.NOTHING
            text = self._servers.load(file, version)
            if text is not None:  # else it was removed, or a newer one took its place
                return _snapshot(scope.group, file, text, _text(version))
        raise UnavailableError(
            f"QConfig at {self._servers.place} does not have version {version.number} of {file.name!r}, which it names"
        )

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: the number of the file and its profile."""
        return "" if scope.label else _text(self._check(self._file(scope)))

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        end = time.monotonic() + timeout_s
        files = {scope: self._file(scope) for scope in known if not scope.label}
        for file in set(files.values()) - self._held.keys():
            self._check(file)
        while True:
            now = {scope: _text(self._held[file]) for scope, file in files.items()}
            if found := {scope: version for scope, version in now.items() if version != known[scope]}:
                return found
            answer = self._poll.wait({file: self._held[file] for file in files.values()}, end)
            if answer is None:
                return {}
            news = self._servers.changes(answer)
            self._held |= {file: version for file, version in news.items() if file in self._held}

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        self._poll.wake()

    def ping(self) -> str:
        """See `Driver.ping`: it asks for a file, since only that shows that the token is right."""
        self._servers.latest(self._file(Scope()))
        return f"QConfig at {self._servers.place}: {self.settings.application!r} in {self.settings.profile!r}"

    def servers(self) -> list[Server]:
        """See `ConfigurationDriver.servers`."""
        return [one for url in self.settings.url for one in servers_of(url, http_port(url))]

    def address(self) -> str:
        """See `Driver.address`."""
        return self._servers.place

    def close(self) -> None:
        """See `Driver.close`."""
        self._poll.close()
        self._servers.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._poll.forget()
        self._servers.forget()

    def _file(self, scope: Scope) -> File:
        name = scope.group if formats.suffix_of(scope.group) else f"{scope.group}.properties"
        file = File(scope.application or self.settings.application, name)
        if any("," in word or "\n" in word for word in file):
            raise InvalidArgumentError(
                f"{file.name!r} of {file.application!r}: QConfig has no names with `,`"
            )
        return file

    def _check(self, file: File) -> Version:
        version = self._servers.latest(file)
        self._held[file] = version
        return version


def _text(version: Version) -> str:
    return f"{version.number}@{version.profile}" if version.is_there else ""


def _snapshot(group: str, file: File, text: str, version: str) -> Snapshot:
    flat = formats.items(text, formats.suffix_of(file.name), f"file {file.name!r} of {file.application!r}")
    items: dict[str, Any] = {key: ConfigurationItem(key, value, version) for key, value in flat.items()}
    return Snapshot(items, version, text if formats.suffix_of(group) else None)
