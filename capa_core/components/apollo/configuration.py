"""Configuration in Apollo: appId is the application, a namespace is a group, a cluster is a label."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from capa_core.abilities import BY_CORE, NATIVE, Support, absent, approximate
from capa_core.blocks.configuration import formats
from capa_core.blocks.configuration.driver import (
    ConfigurationDriver,
    ConfigurationFeature,
    ConfigurationItem,
    GroupStatus,
    Scope,
    Snapshot,
)
from capa_core.components.apollo._answers import parsed
from capa_core.components.apollo._client import HINT, ConfigServices, quoted
from capa_core.components.apollo._java_cache import cached_release
from capa_core.components.apollo._polls import Namespace, Polls
from capa_core.components.apollo._portal import Place, Portal
from capa_core.components.apollo._release import CONTENT, Release, is_document, release_of, snapshot_of
from capa_core.components.apollo._settings import ApolloConfigurationSettings
from capa_core.errors import PermissionDeniedError, UnsupportedError
from capa_core.http import ERROR_TYPES
from capa_core.reach import Server, http_port, servers_of

NO_APP_ID = "ApolloNoAppIdPlaceHolder"
"""The appId of a client without one, which may read public namespaces."""

_REFUSED = "refused"
"""The version of a namespace that may not be read: `get` raises the reason."""
_PUBLISHED_S = 2.0
"""A config service that caches shows a release after a second at the latest."""
_DOCUMENTS = (".json", ".yaml", ".yml", ".xml", ".txt")
_WITHOUT_PORTAL = absent("no `portal` is set: config services only read")
_WRITES = (
    ConfigurationFeature.SAVE,
    ConfigurationFeature.DELETE,
    ConfigurationFeature.INSPECT,
    ConfigurationFeature.CONDITIONAL,
)


class ApolloConfiguration(ConfigurationDriver[ApolloConfigurationSettings]):
    """One Apollo: read from its config services, written through its portal.

    A namespace without a release in its cluster comes from `data_center`, then from cluster `default`; a public one of
    another application is laid below the own one of its name. There is no other fallback from an application.
    """

    settings_type = ApolloConfigurationSettings
    features: Mapping[Any, Support] = {  # type: ignore[misc]  # an instance without portal has fewer
        ConfigurationFeature.WATCH: NATIVE,
        ConfigurationFeature.LAST_KNOWN_GOOD: BY_CORE,
        ConfigurationFeature.SAVE: approximate(
            "a save is one release, and at most one is under way here; a release that somebody else makes meanwhile"
            " publishes the items written so far"
        ),
        ConfigurationFeature.DELETE: NATIVE,
        ConfigurationFeature.LABELS: NATIVE,
        ConfigurationFeature.TAGS: absent("items of Apollo have a comment, which clients do not get"),
        ConfigurationFeature.DOCUMENTS: NATIVE,
        ConfigurationFeature.INSPECT: approximate("lists the released namespaces of `app_id`"),
        ConfigurationFeature.CONDITIONAL: approximate(
            "the release is compared right before the write: one that comes in between is not seen"
        ),
        ConfigurationFeature.HISTORY: absent(
            "the OpenAPI tells the last release only; the portal shows the others"
        ),
    }
    error_types = ERROR_TYPES

    def __init__(self, settings: ApolloConfigurationSettings) -> None:
        super().__init__(settings)
        self._services = ConfigServices(settings)
        self._polls = Polls(self._services, settings)
        self._portal = Portal(settings) if settings.portal else None
        if self._portal is None:
            self.features = {**self.features, **dict.fromkeys(_WRITES, _WITHOUT_PORTAL)}
        self._held: dict[Namespace, Release | None] = {}
        self._news: set[Namespace] = set()
        self._writing = threading.Lock()

    def get(self, scope: Scope) -> Snapshot:
        """See `ConfigurationDriver.get`.

        Raises:
            PermissionDeniedError: The access key is wrong, or missing.
            UnavailableError: The server failed, or its answer is not one of Apollo.
            SettingsError: The text of a document is malformed.
        """
        return snapshot_of(self._fetch(self._namespace(scope)), scope.group)

    def version(self, scope: Scope) -> str:
        """See `ConfigurationDriver.version`: the release key, which costs no values unless it is new."""
        return _key(self._fetch(self._namespace(scope)))

    def last_known(self, scope: Scope) -> Snapshot | None:
        """See `ConfigurationDriver.last_known`: what a Java client has kept in `java_cache`."""
        if self.settings.java_cache is None:
            return None
        namespace = self._namespace(scope)
        folder = self.settings.root / str(self.settings.java_cache).replace("{app_id}", namespace.app_id)
        found = cached_release(Path(folder), namespace)
        return None if found is None else snapshot_of(found, scope.group)

    def watch(self, known: Mapping[Scope, str], timeout_s: float) -> Mapping[Scope, str]:
        """See `ConfigurationDriver.watch`."""
        end = time.monotonic() + timeout_s
        scopes = {scope: self._namespace(scope) for scope in known}
        self._polls.follow(scopes.values())
        while True:
            if changed := self._changed(known, scopes):
                return changed
            news = self._polls.wait(max(0.0, end - time.monotonic()))
            if not news:
                return {}
            self._news |= {namespace._replace(name=namespace.plain) for namespace in news}

    def wake(self) -> None:
        """See `ConfigurationDriver.wake`."""
        self._polls.wake()

    def save(self, scope: Scope, items: Sequence[ConfigurationItem]) -> str:
        """See `ConfigurationDriver.save`.

        Raises:
            NotFoundError: Apollo has no such application.
            InvalidArgumentError: The server refuses a key or a value, such as one that is too long.
            UnsupportedError: The group is a document that cannot be edited by keys.
        """
        values = {item.key: item.value for item in items}
        if is_document(scope.group):
            return self._edit(scope, lambda text, suffix: formats.edited(text, suffix, values, scope.group))
        return self._publish(scope, lambda portal, place: portal.put(place, values))

    def save_document(self, scope: Scope, content: str) -> str:
        """See `ConfigurationDriver.save_document`; raises as `save` does.

        Raises:
            UnsupportedError: Apollo has no format of this name.
        """
        suffix = formats.suffix_of(scope.group)
        values = formats.items(content, suffix, scope.group)
        if suffix == ".properties":
            old = self.get(scope).items

            def replace(portal: Portal, place: Place) -> None:
                portal.put(place, values)
                portal.drop(place, [key for key in old if key not in values])

            return self._publish(scope, replace)
        if suffix not in _DOCUMENTS:
            raise UnsupportedError(f"{scope}: Apollo has documents in {', '.join(_DOCUMENTS)}")
        return self._publish(scope, lambda portal, place: portal.put(place, {CONTENT: content}))

    def delete(self, scope: Scope, keys: Sequence[str]) -> str:
        """See `ConfigurationDriver.delete`."""
        if is_document(scope.group):
            if not self.version(scope):
                return ""
            return self._edit(scope, lambda text, suffix: formats.deleted(text, suffix, keys, scope.group))
        return self._publish(scope, lambda portal, place: portal.drop(place, keys))

    def inspect(self) -> Iterator[GroupStatus]:
        """See `ConfigurationDriver.inspect`."""
        portal, own = self._needed_portal(), self.settings
        for cluster in portal.clusters(own.app_id):
            for name in portal.namespaces(own.app_id, cluster):
                if portal.is_released(Place(own.app_id, cluster, name)):
                    scope = Scope("", name, "" if cluster == own.cluster else cluster)
                    yield self._status(scope)

    def ping(self) -> str:
        """See `Driver.ping`: it reads a namespace, since only that shows that the access key is right."""
        namespace = self._namespace(Scope())
        self._fetch(namespace)
        return (
            f"Apollo at {self._services.place}: app {namespace.app_id!r} in cluster {namespace.cluster!r}"
            + (f", written through {self.settings.env} of its portal" if self._portal else "")
        )

    def servers(self) -> list[Server]:
        """See `ConfigurationDriver.servers`."""
        urls = (self.settings.meta,) if self.settings.meta else self.settings.url
        return [one for url in urls for one in servers_of(url, http_port(url))]

    def address(self) -> str:
        """See `Driver.address`."""
        return self._services.place

    def close(self) -> None:
        """See `Driver.close`."""
        self._polls.close()
        self._services.close()
        if self._portal is not None:
            self._portal.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._writing = threading.Lock()
        self._polls.forget()
        self._services.forget()
        if self._portal is not None:
            self._portal.forget()

    def _namespace(self, scope: Scope) -> Namespace:
        app_id = scope.application or self.settings.app_id or NO_APP_ID
        return Namespace(app_id, scope.label or self.settings.cluster, scope.group)

    def _fetch(self, namespace: Namespace) -> Release | None:
        held = self._held.get(namespace)
        path = quoted("configs", *namespace)
        query = {
            "releaseKey": _key(held),
            "dataCenter": self.settings.data_center,
            "ip": self.settings.client_ip,
            "label": self.settings.client_label,
            "messages": self._polls.messages(namespace),
        }
        answer, place = self._services.get(namespace.app_id, path, query)
        if answer.status == 304 and held is not None:
            return held
        if answer.status == 404:
            self._held[namespace] = None
            return None
        release = release_of(parsed(answer, place, hint=HINT), held, place)
        self._held[namespace] = release
        return release

    def _changed(self, known: Mapping[Scope, str], scopes: Mapping[Scope, Namespace]) -> dict[Scope, str]:
        """Return the versions that are not known yet. News that cannot be read stay news."""
        now = {scope: self._newest(namespace, known[scope]) for scope, namespace in scopes.items()}
        self._news.clear()
        return {scope: version for scope, version in now.items() if version != known[scope]}

    def _newest(self, namespace: Namespace, known: str) -> str:
        """Return the version of a namespace, asking the server if there are news; *known* if it was not read yet."""
        if namespace._replace(name=namespace.plain) not in self._news:
            return _key(self._held[namespace]) if namespace in self._held else known
        try:
            return _key(self._fetch(namespace))
        except PermissionDeniedError:
            self._held.pop(namespace, None)
            return _REFUSED

    def _publish(self, scope: Scope, change: Callable[[Portal, Place], object]) -> str:
        portal, namespace = self._needed_portal(), self._namespace(scope)
        place = Place(namespace.app_id, namespace.cluster, namespace.name.removesuffix(".properties"))
        with self._writing:
            before = self.version(scope)
            if change(portal, place) is False:
                return before
            portal.release(place)
            end = time.monotonic() + _PUBLISHED_S
            while (version := self.version(scope)) == before and time.monotonic() < end:
                time.sleep(0.05)
        return version

    def _edit(self, scope: Scope, change: Callable[[str, str], str]) -> str:
        text = change(self.get(scope).content or "", formats.suffix_of(scope.group))
        return self._publish(scope, lambda portal, place: portal.put(place, {CONTENT: text}))

    def _needed_portal(self) -> Portal:
        if self._portal is None:
            raise UnsupportedError(f"Apollo at {self._services.place}: {_WITHOUT_PORTAL.note}")
        return self._portal

    def _status(self, scope: Scope) -> GroupStatus:
        snapshot, namespace = self.get(scope), self._namespace(scope)
        return GroupStatus(
            scope=scope,
            version=snapshot.version,
            items=len(snapshot.items),
            origin=f"{namespace.app_id}+{namespace.cluster}+{namespace.name}",
        )


def _key(release: Release | None) -> str:
    return release.key if release is not None else ""
