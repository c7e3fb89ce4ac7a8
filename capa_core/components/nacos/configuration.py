"""Configuration in Nacos: a group is a dataId, an application is a Nacos group, a label is a namespace."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, absent, approximate
from capa_core.blocks.configuration import edits, formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    Edit,
    GroupStatus,
    Scope,
    Snapshot,
    check_version,
)
from capa_core.components.nacos._client import HTML, Servers
from capa_core.components.nacos._poll import Place, Poll
from capa_core.components.nacos._settings import NacosConfigurationSettings
from capa_core.errors import CapaError, ConflictError, InvalidArgumentError
from capa_core.http import ERROR_TYPES
from capa_core.reach import Server, http_port, servers_of

_PATH = "/v1/cs/configs"
_MISSING = b"not exist"
"""The words of Nacos about a text that is not there: a proxy answers with the same status, 404, and others."""
_NAMESPACES = "/v1/console/namespaces"
_NAME = re.compile(r"[A-Za-z0-9_.:-]*")
_LONGEST = (256, 128, 128)
_PAGE = 100
_SHOWN_S = 2.0
"""A server shows a text that it has taken after a moment, in which it writes it to its own disk."""
_TYPES = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".xml": "xml", ".txt": "text"}


class NacosConfiguration(ConfigurationDriver[NacosConfigurationSettings]):
    """Texts of Nacos. One whose dataId has no suffix is properties, as Nacos's own starters take it.

    A scope falls back to the namespace of the settings, then to their group.
    """

    settings_type = NacosConfigurationSettings
    features = {
        ConfigurationFeature.WATCH: NATIVE,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: approximate(
            "a text is published as a whole if it is still the one that was read; two who make a new one at the same"
            " moment: the later stays. A server before 2.1 does not compare"
        ),
        ConfigurationFeature.DELETE: approximate("as save; with its last key a group is removed"),
        ConfigurationFeature.LABELS: BY_DRIVER,
        ConfigurationFeature.TAGS: absent("tags of Nacos belong to texts, not to keys"),
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: approximate(
            "the namespace of the settings, and those that the console knows"
        ),
        ConfigurationFeature.CONDITIONAL: approximate("as save"),
        ConfigurationFeature.HISTORY: absent(
            "Nacos tells the text before each change, 30 days: its console shows it"
        ),
    }
    error_types = ERROR_TYPES

    def __init__(self, settings: NacosConfigurationSettings) -> None:
        super().__init__(settings)
        self._servers = Servers(settings)
        self._poll = Poll(self._servers, settings)
        self._held: dict[Place, str] = {}
        """Place → the MD5 that was read last."""
        self._writing = threading.Lock()

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`.

        Raises:
            PermissionDeniedError: The user may not read it, or is unknown.
            UnavailableError: The server failed, or the answer is not one of Nacos.
            SettingsError: The text is malformed for the suffix of the group.
        """
        text = self._serving(scope)
        return edits.NOTHING if text is None else _snapshot(scope.group, text)

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: the MD5 of the text, which is read for it."""
        return _md5(self._serving(scope))

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        end = time.monotonic() + timeout_s
        places = {scope: self._places(scope) for scope in known}
        wanted = dict.fromkeys(place for several in places.values() for place in several)
        for place in wanted.keys() - self._held.keys():
            self._read(place)
        while True:
            now = {scope: self._newest(several) for scope, several in places.items()}
            if found := {scope: version for scope, version in now.items() if version != known[scope]}:
                return found
            news = self._poll.wait({place: self._held[place] for place in wanted}, end)
            if not news:
                return {}
            for place in news & wanted.keys():
                self._read(place)

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        self._poll.wake()

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """See `ConfigurationDriver.save`.

        Raises:
            InvalidArgumentError: Nacos has no such names: letters, digits and `_`, `.`, `:`, `-`.
        """
        return self._change(scope, Edit(items=items))

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`; raises as `save` does."""
        edits.document(scope, content, "")
        with self._writing:
            self._publish(self._own(scope), content)
        return self.version(scope)

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`."""
        return self._change(scope, Edit(gone=keys))

    def edit(self, scope: Scope, change: Edit, if_version: str) -> str:
        """See `ConfigurationDriver.edit`; raises as `save` does."""
        return self._change(scope, change, lambda: check_version(scope, self.version(scope), if_version))

    def inspect(self) -> Iterator[GroupStatus]:
        """See `ConfigurationDriver.inspect`."""
        for tenant in self._tenants():
            for one in self._listed(tenant):
                place = Place(one["dataId"], one["group"], tenant)
                text = one.get("content")
                yield GroupStatus(
                    scope=self._scope(place),
                    version=_md5(text),
                    items=_count(place.data_id, text),
                    origin=f"{place.data_id} in {place.group} of namespace {place.tenant or 'public'}",
                )

    def ping(self) -> str:
        """See `Driver.ping`: it reads a text, since only that shows that the user may."""
        self._read(self._own(Scope()))
        return f"Nacos at {self._servers.place}, namespace {self.settings.namespace or 'public'}"

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
        self._writing = threading.Lock()
        self._poll.forget()
        self._servers.forget()

    # --- places

    def _own(self, scope: Scope) -> Place:
        place = Place(
            scope.group, scope.application or self.settings.group, scope.label or self.settings.namespace
        )
        for name, longest in zip(place, _LONGEST, strict=True):
            if len(name) > longest or not _NAME.fullmatch(name):
                raise InvalidArgumentError(
                    f"{name!r}: names in Nacos are letters, digits and `_`, `.`, `:`, `-`, at most {longest} of them"
                )
        return place

    def _places(self, scope: Scope) -> list[Place]:
        return list(dict.fromkeys(map(self._own, scope.candidates())))

    def _scope(self, place: Place) -> Scope:
        return Scope(
            "" if place.group == self.settings.group else place.group,
            place.data_id,
            "" if place.tenant == self.settings.namespace else place.tenant,
        )

    # --- reading

    def _serving(self, scope: Scope) -> str | None:
        for place in self._places(scope):
            if (text := self._read(place)) is not None:
                return text
        return None

    def _newest(self, places: Sequence[Place]) -> str:
        return next((self._held[place] for place in places if self._held[place]), "")

    def _read(self, place: Place) -> str | None:
        answer = self._servers.ask("GET", _PATH, _fields(place))
        if answer.status not in (200, 404):
            raise self._servers.error(answer, f"GET {place.data_id}")
        if answer.kind == HTML and not place.data_id.endswith((".html", ".htm")):
            raise self._servers.malformed(_PATH)
        if not answer.body or (answer.status == 404 and _MISSING not in answer.body):
            raise self._servers.malformed(_PATH)  # Nacos has no empty texts, and says what is missing
        text = answer.body.decode(errors="replace") if answer.status == 200 else None
        self._held[place] = _md5(text)
        return text

    def _tenants(self) -> list[str]:
        """Return the namespace of the settings, then the others; none of those where the console is not served."""
        own = self.settings.namespace
        try:
            found = self._servers.parsed(self._servers.ask("GET", _NAMESPACES, {}), _NAMESPACES)
            others = [str(one["namespace"]) for one in found["data"]]
        except (CapaError, TypeError, KeyError):
            others = []
        return list(dict.fromkeys((own, *others)))

    def _listed(self, tenant: str) -> Iterator[Mapping[str, Any]]:
        page = 1
        while True:
            fields = {"search": "accurate", "dataId": "", "group": "", "tenant": tenant}
            fields |= {"pageNo": str(page), "pageSize": str(_PAGE)}
            found = self._servers.parsed(self._servers.ask("GET", _PATH, fields), f"the list of {tenant!r}")
            try:
                yield from found["pageItems"]
                is_last = page >= int(found["pagesAvailable"])
            except (TypeError, KeyError, ValueError) as error:
                raise self._servers.malformed(_PATH) from error
            if is_last:
                return
            page += 1

    # --- writing

    def _change(self, scope: Scope, change: Edit, check: Callable[[], None] = lambda: None) -> str:
        place = self._own(scope)
        with self._writing:
            while True:
                check()
                text = self._read(place)
                new = _changed(scope, text, change)
                try:
                    if new != text:
                        self._publish(place, new, text)
                except ConflictError:
                    continue  # somebody else was first: again, for what is there now
                return self.version(scope)

    def _publish(self, place: Place, text: str | None, before: str | None = None) -> None:
        """Write *text*, if there is still *before*; `None` for no text, or any."""
        if text:
            kind = _TYPES.get(formats.suffix_of(place.data_id), "properties")
            condition = (("casMd5", _md5(before)),) if before is not None else ()
            answer = self._servers.ask(
                "POST", _PATH, {**_fields(place), "content": text, "type": kind}, condition
            )
        else:
            answer = self._servers.ask("DELETE", _PATH, _fields(place))
        if answer.status != 200 or answer.body.strip() != b"true":
            raise self._servers.error(answer, f"a write of {place.data_id}")
        end = time.monotonic() + _SHOWN_S
        while _md5(self._read(place)) != _md5(text or None) and time.monotonic() < end:
            time.sleep(0.02)


def _fields(place: Place) -> dict[str, str]:
    fields = {"dataId": place.data_id, "group": place.group}
    return fields | ({"tenant": place.tenant} if place.tenant else {})


def _md5(text: str | None) -> str:
    return "" if text is None else hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _snapshot(group: str, text: str) -> Snapshot:
    suffix, version = formats.suffix_of(group), _md5(text)
    flat = formats.items(text.removeprefix("\ufeff"), suffix or ".properties", f"dataId {group!r}")
    items = {key: ConfigurationItem(key, value, version) for key, value in flat.items()}
    return Snapshot(items, version, text if suffix else None)


def _changed(scope: Scope, text: str | None, change: Edit) -> str | None:
    """Return the text after *change*; `None` if nothing is left of a group of keys."""
    if change.content is not None:
        return edits.document(scope, change.content, "").content
    suffix = formats.suffix_of(scope.group) or ".properties"
    new = text or ""
    if change.items:
        new = formats.edited(new, suffix, {item.key: item.value for item in change.items}, scope.group)
    gone = [key for key in change.gone if text and key in formats.items(new, suffix, scope.group)]
    if gone:
        new = formats.deleted(new, suffix, gone, scope.group)
    return new or None


def _count(data_id: str, text: str | None) -> int | None:
    """Return the number of items; `None` for a text that cannot be read."""
    try:
        return None if text is None else len(_snapshot(data_id, text).items)
    except CapaError:
        return None
