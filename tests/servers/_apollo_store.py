"""The content of the Apollo test server: releases, gray releases, notifications and access keys."""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

Place = tuple[str, str, str]
"""AppId, cluster, and namespace in lower case without `.properties`."""


@dataclass(frozen=True)
class Release:
    """The published values of a namespace in one cluster; *cluster* is the branch's name for a gray one."""

    cluster: str
    key: str
    values: dict[str, str]


@dataclass
class Branch:
    """A gray release: values laid over the main ones, for clients that a rule names."""

    name: str
    ips: set[str]
    labels: set[str]
    values: dict[str, str]
    key: str

    def over(self, main: Release) -> Release:
        return Release(self.name, self.key, {**main.values, **self.values})


@dataclass
class Store:
    """All applications. Methods that change something wake those that wait for `changed`.

    Attributes:
        messages: Watch key (`app+cluster+namespace`) → number of its last message.
        history: Release key, also merged → values, for the changes of an incremental answer.
    """

    changed: threading.Condition = field(default_factory=threading.Condition)
    apps: set[str] = field(default_factory=set)
    clusters: set[tuple[str, str]] = field(default_factory=set)
    namespaces: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)
    items: dict[Place, dict[str, str]] = field(default_factory=dict)
    releases: dict[Place, list[Release]] = field(default_factory=dict)
    branches: dict[Place, Branch] = field(default_factory=dict)
    messages: dict[str, int] = field(default_factory=dict)
    log: list[tuple[str, int]] = field(default_factory=list)
    history: dict[str, dict[str, str]] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def create(self, app: str, cluster: str, namespace: str, *, public: bool = False) -> Place:
        """Create what there is not of an application, a cluster and a namespace."""
        place = (app, cluster, plain(namespace).lower())
        with self.changed:
            self.apps.add(app)
            self.clusters |= {(app, "default"), (app, cluster)}
            self.namespaces.setdefault((app, place[2]), (plain(namespace), public))
            self.items.setdefault(place, {})
        return place

    def publish(self, place: Place) -> Release:
        """Release the items of *place*."""
        with self.changed:
            release = self._release(place, self.items[place])
            self.releases.setdefault(place, []).append(release)
            self._announce(place)
        return release

    def roll_back(self, place: Place) -> None:
        """Release again what was released before the last release; items stay."""
        with self.changed:
            self.releases[place].pop()
            self._announce(place)

    def remove(self, place: Place) -> None:
        """Delete a namespace of one cluster."""
        with self.changed:
            self.items.pop(place)
            self.releases.pop(place)
            self._announce(place)

    def branch(self, place: Place, values: dict[str, str], *, ips: set[str], labels: set[str]) -> None:
        """Publish a gray release."""
        with self.changed:
            name = f"branch-{next(self.numbers)}"
            self.branches[place] = Branch(name, ips, labels, values, f"gray-{next(self.numbers)}")
            self._announce(place)

    def find(
        self, app: str, cluster: str, namespace: str, *, center: str, ip: str, label: str
    ) -> list[Release]:
        """Return the release of the application, and that of a public namespace, of which the first one wins."""
        name = plain(namespace).lower()
        with self.changed:
            found = []
            for owner in self._owners(app, name):
                places = [(owner, one, name) for one in _clusters(cluster, center)]
                place = next((one for one in places if self.releases.get(one)), None)
                if place is not None:
                    found.append(self._serving(place, ip, label))
            return found

    def watched(self, app: str, cluster: str, namespace: str, center: str) -> list[str]:
        """Return the watch keys of a namespace: of each cluster that it may fall back to, its public one too."""
        name = plain(namespace).lower()
        with self.changed:
            return [
                f"{owner}+{one}+{name}"
                for owner in self._owners(app, name)
                for one in _clusters(cluster, center)
            ]

    def _owners(self, app: str, name: str) -> list[str]:
        others = [owner for (owner, one), (_, public) in self.namespaces.items() if one == name and public]
        return list(dict.fromkeys([app, *others]))

    def _serving(self, place: Place, ip: str, label: str) -> Release:
        main, branch = self.releases[place][-1], self.branches.get(place)
        if branch is None or not (ip in branch.ips or label in branch.labels):
            return main
        gray = branch.over(main)
        self.history[gray.key] = gray.values
        return gray

    def _release(self, place: Place, values: dict[str, str]) -> Release:
        release = Release(place[1], f"release-{next(self.numbers)}", dict(values))
        self.history[release.key] = release.values
        return release

    def _announce(self, place: Place) -> None:
        key, number = "+".join(place), next(self.numbers)
        self.messages[key] = number
        self.log.append((key, number))
        self.changed.notify_all()


def plain(namespace: str) -> str:
    """Return a namespace without `.properties`, in any case."""
    return namespace[: -len(".properties")] if namespace.lower().endswith(".properties") else namespace


def _clusters(cluster: str, center: str) -> list[str]:
    first = [] if cluster == "default" else [cluster]
    return list(dict.fromkeys([*first, *([center] if center else []), "default"]))
