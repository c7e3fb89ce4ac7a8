"""Long polls: one held request for each application and cluster, all in the thread that watches."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from capa_core.blocks.configuration.bell import Bell
from capa_core.components.apollo._answers import MOST_BYTES, malformed, parsed
from capa_core.components.apollo._client import HINT, ConfigServices
from capa_core.components.apollo._settings import ApolloConfigurationSettings
from capa_core.errors import CapaError
from capa_core.http import Connection, Endpoint

PATH = "/notifications/v2"
PAUSE_S = 0.5
"""Between two polls of one application and cluster: two a second at most, as Apollo's own client."""
REFUSED_S = 10.0
"""Before the next poll of an application that the server has refused."""
DROPPED_S = 1.0
"""A poll that was held for so long when its connection ended was cut by a proxy or a restart; it is sent again.

So is one that was not, since the server may have closed a connection that was idle; two in a row are an error.
"""

Details = Mapping[str, int]


class Namespace(NamedTuple):
    """A namespace as notifications name it: without `.properties`, and in any case."""

    app_id: str
    cluster: str
    name: str

    @property
    def plain(self) -> str:
        """The name by which two spellings are one."""
        return plain(self.name)


def plain(name: str) -> str:
    """Return *name* in lower case without `.properties`."""
    return name.lower().removesuffix(".properties")


@dataclass(slots=True)
class _Poll:
    """The poll of one application and cluster.

    Attributes:
        names: Plain name → spelling, of those to watch.
        numbers: Plain name → number of the last notification.
        asked: The names that the request under way has.
        next_at: Before that time (monotonic) no request is sent.
        drops: Polls in a row whose connection ended at once.
    """

    app_id: str
    cluster: str
    names: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()
    held: tuple[Endpoint, Connection] | None = None
    sent_at: float = float("-inf")
    next_at: float = float("-inf")
    drops: int = 0
    complete_at: float = float("-inf")

    def drop(self) -> None:
        if self.held is not None:
            self.held[1].close()
            self.held = None


class Polls:
    """The polls of one component. `follow` and `wait` are for the watching thread, the rest is for any.

    A notification that was received counts as seen: the caller must read the namespace until it succeeds.
    """

    def __init__(self, services: ConfigServices, settings: ApolloConfigurationSettings) -> None:
        self._services = services
        self._settings = settings
        self._polls: dict[tuple[str, str], _Poll] = {}
        self._details: dict[tuple[str, str, str], Details] = {}
        self._news: set[Namespace] = set()
        """Notified, and not returned yet: the answer to another poll may have been an error."""
        self._bell = Bell(self._drop, timeout_s=2 * settings.timeout_s)
        self.wake, self.close, self.forget = self._bell.ring, self._bell.close, self._bell.forget

    def messages(self, namespace: Namespace) -> str:
        """Return what a request for a namespace has to tell the server, so that it looks beyond its own cache."""
        details = self._details.get((namespace.app_id, namespace.cluster, namespace.plain))
        return json.dumps({"details": details}, separators=(",", ":")) if details else ""

    def follow(self, namespaces: Collection[Namespace]) -> None:
        """Watch these namespaces and no others."""
        wanted: dict[tuple[str, str], dict[str, str]] = {}
        for one in namespaces:
            wanted.setdefault((one.app_id, one.cluster), {})[one.plain] = one.name
        for place in self._polls.keys() - wanted.keys():
            self._polls.pop(place).drop()
        for place, names in wanted.items():
            poll = self._polls.setdefault(place, _Poll(*place))
            poll.names = names
            if not names.keys() <= poll.asked:
                poll.drop()

    def wait(self, timeout_s: float) -> set[Namespace]:
        """Return the namespaces with news, as soon as there are some; none after *timeout_s*, `wake` or `close`.

        All of an application that the server refuses count as news: reading them tells why, and of them alone.

        Raises:
            capa_core.http.NotSentError: A poll cannot be sent.
            UnavailableError: A poll was answered by an error. The next call sends it again.
            OSError: A poll's answer broke off.
        """
        end = time.monotonic() + timeout_s
        with self._bell.waiting():
            is_rung = False
            while not (self._bell.closed or self._news or is_rung or time.monotonic() >= end):
                due = self._send()
                held = {poll.held[1].sock: poll for poll in self._polls.values() if poll.held is not None}
                is_rung, ready = self._bell.select(held, min(end, due) - time.monotonic())
                for poll in ready:
                    self._take_answer(poll)
            news, self._news = self._news, set()
            if news and is_rung:
                self._bell.ring()  # for the next call: news may be of nothing that the caller does not know
        return news

    def _drop(self) -> None:
        for poll in self._polls.values():
            poll.drop()

    def _send(self) -> float:
        """Send the polls that are due, and return when the next one is (monotonic)."""
        due = float("inf")
        for poll in self._polls.values():
            if poll.held is not None and time.monotonic() - poll.sent_at > self._settings.hold_s:
                poll.drop()
            if poll.held is None and time.monotonic() >= poll.next_at:
                self._begin(poll)
            due = min(due, poll.next_at if poll.held is None else poll.sent_at + self._settings.hold_s)
        return due

    def _begin(self, poll: _Poll) -> None:
        now = time.monotonic()
        # A number that the server never reached, as after a restore of its database, would be held for ever.
        anew = now - poll.complete_at >= self._settings.refresh_s
        wanted = [
            {"namespaceName": spelling, "notificationId": -1 if anew else poll.numbers.get(name, -1)}
            for name, spelling in poll.names.items()
        ]
        query = {
            "appId": poll.app_id,
            "cluster": poll.cluster,
            "notifications": json.dumps(wanted, separators=(",", ":")),
            "dataCenter": self._settings.data_center,
            "ip": self._settings.client_ip,
        }
        poll.sent_at, poll.next_at = now, now + PAUSE_S
        poll.held = self._services.begin(poll.app_id, PATH, query)
        poll.asked = frozenset(poll.names)
        if anew:
            poll.complete_at = now

    def _take_answer(self, poll: _Poll) -> None:
        if poll.held is None or not poll.held[1].has_begun():
            return
        (endpoint, connection), poll.held = poll.held, None
        connection.sock.end = time.monotonic() + self._settings.timeout_s
        try:
            answer = endpoint.answered(connection, most_bytes=MOST_BYTES)
        except ConnectionResetError:
            poll.drops = poll.drops + 1 if time.monotonic() - poll.sent_at < DROPPED_S else 0
            if poll.drops > 1:
                raise
            return
        poll.drops = 0
        if answer.status == 304:
            return
        place = f"{endpoint.url}{PATH}"
        try:
            body = parsed(answer, place, hint=HINT)
        except CapaError as error:
            if error.retryable:
                raise
            poll.next_at = time.monotonic() + REFUSED_S
            self._news |= {Namespace(poll.app_id, poll.cluster, name) for name in poll.names.values()}
            return
        try:
            for one in body:
                self._note(poll, one)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise malformed(place) from error

    def _note(self, poll: _Poll, one: dict[str, Any]) -> None:
        name = plain(one["namespaceName"])
        details = dict((one.get("messages") or {}).get("details") or {})
        poll.numbers[name] = int(one["notificationId"])
        key = (poll.app_id, poll.cluster, name)
        # A push names the one message that fired: the others still hold.
        self._details[key] = {**self._details.get(key, {}), **details}
        self._news.add(Namespace(poll.app_id, poll.cluster, poll.names.get(name, name)))
