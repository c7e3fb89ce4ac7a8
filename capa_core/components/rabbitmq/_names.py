"""Names of exchanges and queues, and routing keys: at most 255 bytes each, whatever the topic is called."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

_LONGEST = 200  # of the 255 bytes that a name may have, prefix and level aside
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one topic."""

    prefix: str
    topic: str

    @property
    def exchange(self) -> str:
        """The exchange that is published to; it routes to listeners of broadcasts and to `groups`."""
        return self._of("topic", self.topic)

    @property
    def groups(self) -> str:
        """The exchange that routes to each group; without any, to `kept`."""
        return self._of("groups", self.topic)

    @property
    def kept(self) -> str:
        """The exchange, and the queue, of messages that wait for the first group."""
        return self._of("kept", self.topic)

    @property
    def index(self) -> str:
        """The queue that lists the topic's groups and delay queues."""
        return self._of("index", self.topic)

    @property
    def peeks(self) -> str:
        """The queue that lists the messages that were looked at."""
        return self._of("peeks", self.topic)

    @property
    def topics(self) -> str:
        """The queue that lists all topics."""
        return f"{self.prefix}topics"

    def group(self, group: str) -> str:
        """Return the queue of *group*."""
        return self._of("group", f"{_escaped(self.topic)}|{_escaped(group)}")

    def delayed(self, level: int, queue: str) -> str:
        """Return the queue in which messages on their way to *queue*, or to the topic, wait at *level*."""
        return self._of(f"delay.{level}", queue)

    def _of(self, kind: str, name: str) -> str:
        return f"{self.prefix}{kind}.{_short(name)}"


def target(queue: str) -> str:
    """Return the word that stands for *queue* in routing keys, which cannot hold any name."""
    return sha256(queue.encode()).hexdigest()[:_DIGITS]


def _escaped(name: str) -> str:
    return quote(name, safe=" /{}:*?[]#+@!~=,;&$()'")


def _short(name: str) -> str:
    """Return *name*, or its beginning and a hash of the whole."""
    if len(name.encode()) <= _LONGEST:
        return name
    beginning = name.encode()[: _LONGEST - _DIGITS - 1].decode(errors="ignore")
    return f"{beginning}~{sha256(name.encode()).hexdigest()[:_DIGITS]}"
