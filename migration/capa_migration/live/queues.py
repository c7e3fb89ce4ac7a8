"""The topics of a pub/sub component as `capa queue` and `capa doctor` show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capa_core import PubSub
    from capa_core.blocks.pubsub import TopicStatus

DEAD = ".dead"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with the number of its dead letters."""

    status: TopicStatus
    dead: int


@dataclass(frozen=True, slots=True)
class Survey:
    """The topics of one component, by name.

    Attributes:
        complete: Whether these are all.
    """

    component: str
    topics: tuple[Topic, ...]
    complete: bool

    def as_data(self) -> dict[str, Any]:
        """Return the survey as data for JSON."""
        topics = [
            {**asdict(topic.status), "depth": topic.status.depth, "dead_letters": topic.dead}
            for topic in self.topics
        ]
        return {"component": self.component, "topics": topics, "complete": self.complete}


def survey(pubsub: PubSub, topics: Sequence[str] = (), *, most: int = 1000) -> Survey:
    """Return *topics* of a component, or up to *most* of all that it has, dead letter topics counted with theirs.

    Raises:
        UnsupportedError: The component cannot be inspected.
        UnavailableError: The engine did not answer.
    """
    names = list(topics) or list(islice(pubsub.topics(), most + 1))
    shown = sorted(dict.fromkeys(names if topics else names[:most]))
    known = set(shown)
    status = {name: pubsub.inspect(name) for name in shown}
    rows = [
        Topic(status[name], _dead(pubsub, name, status))
        for name in shown
        if topics or not (name.endswith(DEAD) and name.removesuffix(DEAD) in known)
    ]
    return Survey(pubsub.name, tuple(rows), bool(topics) or len(names) <= most)


def _dead(pubsub: PubSub, name: str, known: dict[str, TopicStatus]) -> int:
    from capa_core.blocks.pubsub.inspection import dead_letter_group

    dead = name + DEAD
    if len(dead) > pubsub.limits.max_name_length:
        return 0
    return dead_letter_group(known.get(dead) or pubsub.inspect(dead)).depth
