"""The OpenAPI of Apollo's portal: write items, release them, create and list namespaces."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

from capa_core.components.apollo._answers import MOST_BYTES, malformed, parsed
from capa_core.components.apollo._client import quoted
from capa_core.components.apollo._release import is_document
from capa_core.components.apollo._settings import ApolloConfigurationSettings
from capa_core.errors import NotFoundError
from capa_core.http import Endpoint, PlainRequest

_HINT = (
    "Correct `token` of the component in capa.toml: the portal's administrator gives one for each application"
)


class Place(NamedTuple):
    """A namespace of one cluster, as the portal spells it."""

    app_id: str
    cluster: str
    namespace: str


class Portal:
    """The OpenAPI in one environment. Safe for many threads.

    Its calls raise what `capa_core.components.apollo._answers.parsed` and `Endpoint.exchange` do.

    Raises:
        SettingsError: The address is malformed.
    """

    def __init__(self, settings: ApolloConfigurationSettings) -> None:
        self._settings = settings
        self._endpoint = Endpoint(settings.portal, verify=settings.verify, size=4)

    def put(self, place: Place, values: Mapping[str, str]) -> None:
        """Write items without releasing them; the namespace is created if there is none."""
        for at, (key, value) in enumerate(values.items()):
            try:
                self._put(place, key, value)
            except NotFoundError:
                if at:
                    raise
                self._create(place)
                self._put(place, key, value)

    def drop(self, place: Place, keys: Sequence[str]) -> bool:
        """Remove items without releasing that; return whether there was one of them."""
        return sum(self._dropped(place, key) for key in keys) > 0

    def release(self, place: Place) -> None:
        """Publish the items of a namespace."""
        operator = self._settings.operator
        self._ask(
            "POST",
            self._path(place, "releases"),
            {
                "releaseTitle": time.strftime("%Y%m%d%H%M%S"),
                "releaseComment": "Capa",
                "releasedBy": operator,
            },
        )

    def is_released(self, place: Place) -> bool:
        """Return whether a namespace was released in this very cluster."""
        return self._ask("GET", self._path(place, "releases", "latest")) is not None

    def clusters(self, app_id: str) -> list[str]:
        """Return the clusters of an application in the environment of the settings; none if there is no such app."""
        found = self._ask("GET", quoted("openapi", "v1", "apps", app_id, "envclusters"))
        return self._listed(
            lambda: [
                str(name)
                for one in found
                if one["env"].upper() == self._settings.env.upper()
                for name in one["clusters"]
            ]
        )

    def namespaces(self, app_id: str, cluster: str) -> list[str]:
        """Return the namespaces of a cluster, released or not."""
        found = self._ask("GET", self._home(app_id) + quoted("clusters", cluster, "namespaces"))
        return self._listed(lambda: [str(one["namespaceName"]) for one in found])

    def close(self) -> None:
        """Close idle connections."""
        self._endpoint.close()

    def forget(self) -> None:
        """Drop the connections of the parent in a forked child."""
        self._endpoint.forget()

    def _put(self, place: Place, key: str, value: str) -> None:
        operator = self._settings.operator
        body = {
            "key": key,
            "value": value,
            "dataChangeCreatedBy": operator,
            "dataChangeLastModifiedBy": operator,
        }
        self._ask("PUT", self._path(place, "items", key) + "?createIfNotExists=true", body)

    def _dropped(self, place: Place, key: str) -> bool:
        operator = quote(self._settings.operator, safe="")
        try:
            self._ask("DELETE", f"{self._path(place, 'items', key)}?operator={operator}")
        except NotFoundError:
            return False
        return True

    def _create(self, place: Place) -> None:
        """Create what there is not of the cluster and the namespace; the application has to exist."""
        operator = self._settings.operator
        if place.cluster not in (known := self.clusters(place.app_id)):
            if not known:
                raise NotFoundError(
                    f"Apollo has no application {place.app_id!r} in {self._settings.env}: create it in its portal"
                )
            body: dict[str, Any] = {
                "name": place.cluster,
                "appId": place.app_id,
                "dataChangeCreatedBy": operator,
            }
            self._ask("POST", self._home(place.app_id) + quoted("clusters"), body)
        present = {name.lower() for name in self.namespaces(place.app_id, place.cluster)}
        if place.namespace.lower() in present:
            return
        path = PurePosixPath(place.namespace)
        as_document = is_document(place.namespace)
        body = {
            "name": path.stem if as_document else place.namespace,
            "appId": place.app_id,
            "format": path.suffix[1:].lower() if as_document else "properties",
            "isPublic": False,
            "dataChangeCreatedBy": operator,
        }
        self._ask("POST", quoted("openapi", "v1", "apps", place.app_id, "appnamespaces"), body)

    def _home(self, app_id: str) -> str:
        return quoted("openapi", "v1", "envs", self._settings.env, "apps", app_id)

    def _path(self, place: Place, *more: str) -> str:
        return self._home(place.app_id) + quoted(
            "clusters", place.cluster, "namespaces", place.namespace, *more
        )

    def _ask(self, verb: str, path: str, body: object = None) -> Any:
        data = b"" if body is None else json.dumps(body).encode()
        headers = [("Authorization", self._settings.token.reveal())]
        if data:
            headers.append(("Content-Type", "application/json;charset=UTF-8"))
        request = PlainRequest(verb, path, tuple(headers), data)
        end = time.monotonic() + self._settings.timeout_s
        answer = self._endpoint.exchange(request, end, most_bytes=MOST_BYTES)
        return parsed(answer, f"{self._endpoint.url}{path.partition('?')[0]}", hint=_HINT)

    def _listed(self, read: Any) -> list[str]:
        try:
            found: list[str] = read()
        except (TypeError, KeyError, AttributeError) as error:
            raise malformed(self._endpoint.url) from error
        return found
