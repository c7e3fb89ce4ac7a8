"""Queues of topics: made when they are needed, found by their names, told apart by their tags.

    publisher ──▶ topic's queue             of the first group; keeps what waits for it
              ──▶ …---g-<group>             of each later group
              ──▶ …---t-<broadcast>-r1      of each broadcast, until it ends

A publisher reads the list of a topic's queues again before half of `settle_s` has passed, and whoever makes a new one
waits for all of it: so a message that is published after `consume` has returned reaches the new group, and a publish
costs no request more. The list of SQS itself is the register, as one elsewhere could differ from the queues there are.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._names import (
    TAG_ALIVE,
    TAG_GROUP,
    TAG_TOPIC,
    Names,
    is_base,
    plain_topic,
    tagged,
    untagged,
)
from capa_core.components.aws._settings import QueueSettings
from capa_core.errors import ConflictError, PermissionDeniedError

_PAGE = 1_000
_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The messages of a queue, by AWS's approximate counts."""

    ready: int
    hidden: int
    delayed: int

    @property
    def all(self) -> int:
        """All of them."""
        return self.ready + self.hidden + self.delayed


class Links:
    """The needs of a queue beside itself: none where publishers send to it."""

    def attributes(self, names: Names, queue: str) -> dict[str, str]:
        """Return attributes of a new queue."""
        del names, queue
        return {}

    def connect(self, names: Names, url: str) -> None:
        """Lead the messages of a topic to a queue; called once for each queue that this process uses."""

    def disconnect(self, names: Names, url: str) -> None:
        """Lead no more messages to a queue that is about to end."""


class Queues:
    """The queues that one component knows."""

    def __init__(self, clients: Clients, settings: QueueSettings, links: Links) -> None:
        self._clients = clients
        self._links = links
        self._settings = settings
        self._urls: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._alive_until: dict[str, float] = {}
        self._routes: dict[str, tuple[float, list[str]]] = {}
        self._making = threading.Lock()

    def names(self, topic: str) -> Names:
        """Return the names of *topic*."""
        return Names(self._settings.prefix, topic, self._settings.is_fifo)

    def forget(self, names: Names) -> None:
        """Look for the queues of a topic anew when they are needed next: one was deleted."""
        self._routes.pop(names.topic, None)
        for queue in [queue for queue in self._urls if queue.startswith(names.stem)]:
            self._urls.pop(queue, None)
        self._owners.pop(names.base, None)

    # --- for publishers

    def routes(self, names: Names) -> list[str]:
        """Return the queues that a message of the topic goes to, the topic's own first."""
        known = self._routes.get(names.topic)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        base = self.base(names)
        until = time.monotonic() + self._settings.settle_s / 2
        found = [
            base,
            *(url for queue, url in self.others(names).items() if self._is_alive(names, queue, url)),
        ]
        self._routes[names.topic] = until, found
        return found

    def base(self, names: Names) -> str:
        """Have the topic's own queue, and return its address."""
        url, _ = self._have(names.base, names, {})
        return url

    # --- for consumers

    def join(self, names: Names, group: str) -> str:
        """Have the queue of a lasting *group*, which every publisher knows by then, and return its address."""
        base, is_new = self._have(names.base, names, {})
        self.routes(names)  # and so end the queues of broadcasts that nobody listens to
        if is_new:
            time.sleep(self._settings.settle_s)  # AWS: a new queue is ready after a second
        if self._claimed(names, base, group) == group:
            return base
        url, is_new = self._have(names.group(group), names, tagged(TAG_GROUP, group))
        self._wait_for_publishers(names, url, is_new=is_new)
        return url

    def join_listener(self, names: Names, group: str, generation: int) -> str:
        """Have the queue of a broadcast, which every publisher knows by then, and return its address."""
        self.routes(names)
        queue = names.listener(group, generation)
        tags = tagged(TAG_GROUP, group) | self._life()
        url, is_new = self._have(queue, names, tags)
        self._wait_for_publishers(names, url, is_new=is_new)
        return url

    def show_life(self, url: str) -> None:
        """Tell others that the broadcast of the queue is listened to."""
        self._call("TagQueue", url, Tags=self._life())

    def drop(self, names: Names, url: str) -> None:
        """Delete the queue of a broadcast; nothing if it is gone."""
        self._routes.pop(names.topic, None)
        self._urls.pop(_name(url), None)
        try:
            self._links.disconnect(names, url)
            self._call("DeleteQueue", url)
        except AwsError as error:
            if not error.is_missing:
                raise

    # --- for looks

    def of_group(self, names: Names, group: str) -> list[str]:
        """Return the queues of *group*; of one that is not there, those that it would have if it came now."""
        base = self.find(names.base)
        if base is None:
            return []
        owner = self.owner(names, base)
        if owner == group:
            return [base]
        others = self.others(names)
        lasting = others.get(names.group(group))
        if lasting is not None:
            return [lasting]
        listening = [url for queue, url in others.items() if queue.startswith(names.listeners(group))]
        return listening or ([base] if owner is None else [])

    def groups(self, names: Names) -> dict[str, tuple[str, bool]]:
        """Return the queue of each group but the first, and whether it is a broadcast's."""
        found = {}
        for queue, url in self.others(names).items():
            group = untagged(TAG_GROUP, self.tags(url))
            if group is not None:
                found[group] = url, names.is_listener(queue)
        return found

    def others(self, names: Names) -> dict[str, str]:
        """Return the queues of the topic by name, but for its own."""
        urls = {_name(url): url for url in self._listed(names.others)}
        return {queue: url for queue, url in urls.items() if names.is_ours(queue)}

    def topics(self) -> Iterator[str]:
        """Yield each topic once."""
        prefix = self._settings.prefix
        for url in self._listed(prefix):
            queue = _name(url)
            if is_base(prefix, queue, fifo=self._settings.is_fifo):
                topic = plain_topic(prefix, queue) or untagged(TAG_TOPIC, self.tags(url))
                if topic is not None and self.names(topic).base == queue:
                    yield topic

    def owner(self, names: Names, base: str) -> str | None:
        """Return the group whose queue is the topic's own; `None` before the first."""
        if names.base not in self._owners:
            owner = untagged(TAG_GROUP, self.tags(base))
            if owner is None:
                return None
            self._owners[names.base] = owner
        return self._owners[names.base]

    def find(self, queue: str) -> str | None:
        """Return the address of *queue*; `None` if it is not there."""
        try:
            return str(self._clients.call("sqs", "GetQueueUrl", queue, QueueName=queue)["QueueUrl"])
        except AwsError as error:
            if error.is_missing:
                return None
            raise

    def counts(self, url: str) -> Counts:
        """Return how many messages are in a queue; none if it is gone."""
        try:
            found = self.attributes(url, *_COUNTS)
        except AwsError as error:
            if not error.is_missing:
                raise
            found = {}
        return Counts(*(int(found.get(name, 0)) for name in _COUNTS))

    def attributes(self, url: str, *names: str) -> dict[str, str]:
        """Return attributes of a queue; all without *names*."""
        answer = self._call("GetQueueAttributes", url, AttributeNames=list(names) or ["All"])
        return dict(answer.get("Attributes", {}))

    def tags(self, url: str) -> dict[str, str]:
        """Return the tags of a queue; none if it is gone."""
        try:
            return dict(self._call("ListQueueTags", url).get("Tags", {}))
        except AwsError as error:
            if error.is_missing:
                return {}
            raise

    def purge(self, url: str) -> None:
        """Remove all messages of a queue; nothing if it is gone."""
        try:
            self._call("PurgeQueue", url)
        except AwsError as error:
            if not error.is_missing:
                raise

    # --- parts

    def _call(self, action: str, url: str, **request: Any) -> Any:
        return self._clients.call("sqs", action, url, QueueUrl=url, **request)

    def _have(self, queue: str, names: Names, tags: dict[str, str]) -> tuple[str, bool]:
        """Return the address of *queue*, and whether it was made just now."""
        if queue in self._urls:
            return self._urls[queue], False
        with self._making:
            url, is_new = self.find(queue), False
            if url is None:
                url, is_new = self._make(names, queue, tags), True
            else:
                self._check_topic(queue, names, url)
            self._links.connect(names, url)
            self._urls[queue] = url
        return url, is_new

    def _make(self, names: Names, queue: str, tags: dict[str, str]) -> str:
        attributes = {"MessageRetentionPeriod": str(self._settings.retention_s)}
        attributes |= self._links.attributes(names, queue)
        if self._settings.is_fifo:
            attributes |= {"FifoQueue": "true"}
        answer = self._clients.call(
            "sqs",
            "CreateQueue",
            queue,
            QueueName=queue,
            Attributes=attributes,
            tags=tagged(TAG_TOPIC, names.topic) | tags,
        )
        return str(answer["QueueUrl"])

    def _check_topic(self, queue: str, names: Names, url: str) -> None:
        """Refuse a queue that is another topic's, which a shortened name alone does not tell."""
        if plain_topic(self._settings.prefix, queue) is not None:
            return
        topic = untagged(TAG_TOPIC, self.tags(url))
        if topic not in (None, names.topic):
            raise ConflictError(
                f"the queue {queue!r} is that of the topic {topic!r}: give this component a `prefix` of its own"
            )

    def _claimed(self, names: Names, base: str, group: str) -> str | None:
        """Return the group whose queue is the topic's own: *group* if it is the first."""
        owner = self.owner(names, base)
        if owner is None:
            self._call("TagQueue", base, Tags=tagged(TAG_GROUP, group))
            time.sleep(self._settings.settle_s)  # of two that come at once, both see who wrote last
            owner = self.owner(names, base)
        return owner

    def _wait_for_publishers(self, names: Names, url: str, *, is_new: bool) -> None:
        """Return when no publisher uses a list of queues that is older than this one."""
        self._routes.pop(names.topic, None)
        made_at = float(self.attributes(url, "CreatedTimestamp").get("CreatedTimestamp", 0))
        if is_new or self._clients.now() < made_at + self._settings.settle_s + 1:
            time.sleep(self._settings.settle_s)
        self._routes.pop(names.topic, None)

    def _is_alive(self, names: Names, queue: str, url: str) -> bool:
        """Return whether messages have to go to a queue; delete that of a broadcast that nobody listens to."""
        if not names.is_listener(queue):
            return True
        if self._clients.now() < self._alive_until.get(queue, 0.0):
            return True
        told = untagged(TAG_ALIVE, self.tags(url))
        self._alive_until[queue] = until = float(told) if told and told.isdecimal() else 0.0
        if self._clients.now() < until:
            return True
        try:
            self.drop(names, url)
        except AwsError as error:
            if error.kind is not PermissionDeniedError:
                raise
            return True  # it may be heard yet, and its consumer would not learn that it is dropped
        return False

    def _life(self) -> dict[str, str]:
        # Both who tells and who reads know AWS's time to the second.
        return {TAG_ALIVE: str(math.ceil(self._clients.now() + self._settings.abandoned_s) + 1)}

    def _listed(self, prefix: str) -> Iterator[str]:
        request: dict[str, Any] = {"QueueNamePrefix": prefix, "MaxResults": _PAGE}
        while True:
            answer = self._clients.call("sqs", "ListQueues", f"{prefix}*", **request)
            yield from answer.get("QueueUrls", ())
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]


def _name(url: str) -> str:
    return url.rpartition("/")[2]
