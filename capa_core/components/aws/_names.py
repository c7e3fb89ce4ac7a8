"""Names of queues: at most 80 characters of a few kinds, for topics and groups of 255 of any kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

_PLAIN = re.compile(r"[A-Za-z0-9_]+(?:-[A-Za-z0-9_]+)*")  # no `--`, which marks what is not plain
_TOPIC, _GROUP = 26, 18
_DIGITS = 16
FIFO = ".fifo"
TAG_TOPIC, TAG_GROUP, TAG_ALIVE = "capa:topic", "capa:group", "capa:alive"
_TAG = 256
_TAG_PIECES = 12
_PLAIN_IN_TAG = re.compile(r"[^A-Za-z0-9 +\-._:/@]")


@dataclass(frozen=True)
class Names:
    """The names of the queues of one topic.

    The first group that joins has the topic's own queue; each later one has one more, `….g-…`, and a broadcast one
    that ends with its consumer, `….t-…`.
    """

    prefix: str
    topic: str
    fifo: bool = False

    @property
    def stem(self) -> str:
        """The beginning of the names of all queues of the topic."""
        return self.prefix + _token(self.topic, _TOPIC)

    @property
    def base(self) -> str:
        """The queue that the topic always has."""
        return self._named(self.stem)

    @property
    def others(self) -> str:
        """The beginning of the names of all queues but `base`."""
        return f"{self.stem}---"

    def group(self, group: str) -> str:
        """Return the queue of a lasting *group* that was not the first."""
        return self._named(f"{self.others}g-{_token(group, _GROUP)}")

    def listener(self, group: str, generation: int) -> str:
        """Return the queue of a broadcast; SQS lets none be made again at once, so that each has a generation."""
        return self._named(f"{self.listeners(group)}{generation}")

    def listeners(self, group: str) -> str:
        """Return the beginning of the names of the queues of a broadcast."""
        return f"{self.others}t-{_token(group, _GROUP)}-r"

    def is_listener(self, queue: str) -> bool:
        """Return whether *queue*, one of the topic, is a broadcast's."""
        return queue.startswith(f"{self.others}t-")

    def is_ours(self, queue: str) -> bool:
        """Return whether *queue* has the ending of the queues of the topic."""
        return queue.endswith(FIFO) == self.fifo

    def _named(self, name: str) -> str:
        return name + FIFO if self.fifo else name


def is_base(prefix: str, queue: str, *, fifo: bool) -> bool:
    """Return whether *queue* is the `base` of a topic."""
    return queue.startswith(prefix) and "---" not in queue[len(prefix) :] and queue.endswith(FIFO) == fifo


def plain_topic(prefix: str, queue: str) -> str | None:
    """Return the topic of the `base` queue, if its name alone tells it."""
    name = queue[len(prefix) :].removesuffix(FIFO)
    return name if _PLAIN.fullmatch(name) else None


def tagged(name: str, text: str) -> dict[str, str]:
    """Return *text* as tags: 256 characters of a few kinds each, and so several for a long one."""
    coded = _PLAIN_IN_TAG.sub(lambda found: "".join(f"={byte:02X}" for byte in found[0].encode()), text)
    pieces = [coded[start : start + _TAG] for start in range(0, len(coded), _TAG)]
    return {f"{name}{number or ''}": piece for number, piece in enumerate(pieces)}


def untagged(name: str, tags: dict[str, str]) -> str | None:
    """Return the text of the tags *name*; `None` if there are none, or another program wrote them."""
    if name not in tags:
        return None
    coded = "".join(tags.get(f"{name}{number or ''}", "") for number in range(_TAG_PIECES))
    try:
        return re.sub(
            rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), coded.encode()
        ).decode()
    except UnicodeDecodeError:
        return None


def _token(name: str, most: int) -> str:
    if len(name) <= most and _PLAIN.fullmatch(name):
        return name
    slug = "-".join(re.findall(r"[A-Za-z0-9_]+", name))[: most - _DIGITS - 2].strip("-")
    return f"{slug}--{sha256(name.encode(errors='surrogatepass')).hexdigest()[:_DIGITS]}"
