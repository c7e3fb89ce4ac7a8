"""The topics of a pub/sub component as `capa queue` and `capa doctor` show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from capa_migration.errors import OptionsError

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
        unread: Topic → why it could not be inspected.
    """

    component: str
    topics: tuple[Topic, ...]
    complete: bool
    unread: dict[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """Return the survey as data for JSON."""
        topics = [
            {**asdict(topic.status), "depth": topic.status.depth, "dead_letters": topic.dead}
            for topic in self.topics
        ]
        return {
            "component": self.component,
            "topics": topics,
            "complete": self.complete,
            "unread": self.unread,
        }


def survey(pubsub: PubSub, topics: Sequence[str] = (), *, most: int = 1000) -> Survey:
    """Return *topics* of a component, or up to *most* of all that it has, dead letter topics counted with theirs.

    Raises:
        UnsupportedError: The component cannot be inspected.
        UnavailableError: The engine did not answer.
    """
    names = list(topics) or list(islice(pubsub.topics(), most + 1))
    shown = sorted(dict.fromkeys(names if topics else names[:most]))
    known = set(shown)
    status, unread = _inspected(pubsub, shown)
    rows = [
        Topic(status[name], _dead(pubsub, name, status))
        for name in status
        if topics or not (name.endswith(DEAD) and name.removesuffix(DEAD) in known)
    ]
    return Survey(pubsub.name, tuple(rows), bool(topics) or len(names) <= most, unread)


def _inspected(pubsub: PubSub, names: Sequence[str]) -> tuple[dict[str, TopicStatus], dict[str, str]]:
    """Return the status of each topic, and the errors of those that another program has damaged."""
    from capa_core.errors import ConflictError, DataLossError

    status: dict[str, TopicStatus] = {}
    unread: dict[str, str] = {}
    for name in names:
        try:
            status[name] = pubsub.inspect(name)
        except (ConflictError, DataLossError) as error:
            unread[name] = str(error)
    return status, unread


def check_topic(pubsub: PubSub, topic: str, *others: str) -> None:
    """Check that *topic*, or one of *others*, exists, as far as the component can be inspected.

    Raises:
        OptionsError: None of them exists.
    """
    if not _can_inspect(pubsub):
        return
    wanted = {topic, *others}
    for name in wanted:
        status = pubsub.inspect(name)
        if status.groups or status.kept:
            return
    # One without groups and messages looks as if it did not exist; the list is longer to read, and knows.
    if not any(name in wanted for name in pubsub.topics()):
        raise OptionsError(
            f"no topic {topic} in component {pubsub.name}; `capa queue list` shows those that exist"
        )


def check_group(pubsub: PubSub, topic: str, group: str) -> None:
    """Check that *topic* has *group*, as far as the component can be inspected.

    Raises:
        OptionsError: It does not.
    """
    if not _can_inspect(pubsub):
        return
    names = [known.name for known in pubsub.inspect(topic).groups]
    if group not in names:
        raise _no_group(topic, group, names)


def group_to_peek(pubsub: PubSub, topic: str, group: str | None) -> str:
    """Return the group of *topic* to peek at: *group*, or without one `default` or the only one that lasts.

    On a topic without a group that lasts it is the name of the one that would be the first: it finds what is kept.

    Raises:
        OptionsError: The topic has no such group, or several and none is given.
    """
    groups = pubsub.inspect(topic).groups if _can_inspect(pubsub) else ()
    names = [known.name for known in groups]
    lasting = [known.name for known in groups if not known.temporary]
    wanted = group or (lasting[0] if len(lasting) == 1 else "default")
    if not lasting or wanted in names:
        return wanted
    if group is None:
        raise OptionsError(f"topic {topic} has several groups: choose with --group: {', '.join(names)}")
    raise _no_group(topic, group, names)


def _no_group(topic: str, group: str, names: Sequence[str]) -> OptionsError:
    existing = f"there are {', '.join(names)}" if names else "there are none yet"
    return OptionsError(f"no group {group} on topic {topic}; {existing}")


class LettersLeft(NamedTuple):
    """The dead letters that are there after a replay; none where that cannot be inspected.

    Attributes:
        held: Those that another replay or consumer holds.
        waiting: The others.
    """

    held: int = 0
    waiting: int = 0


def letters_left(pubsub: PubSub, topic: str) -> LettersLeft:
    """Return the dead letters of *topic* that are there now."""
    from capa_core.blocks.pubsub.inspection import dead_letter_group

    if not _can_inspect(pubsub):
        return LettersLeft()
    group = dead_letter_group(pubsub.inspect(topic + DEAD))
    return LettersLeft(group.in_flight, group.depth - group.in_flight)


def _can_inspect(pubsub: PubSub) -> bool:
    from capa_core.blocks.pubsub import PubSubFeature

    return bool(pubsub.features[PubSubFeature.INSPECT])


def _dead(pubsub: PubSub, name: str, known: dict[str, TopicStatus]) -> int:
    from capa_core.blocks.pubsub.inspection import dead_letter_group

    dead = name + DEAD
    if len(dead) > pubsub.limits.max_name_length:
        return 0
    return dead_letter_group(known.get(dead) or pubsub.inspect(dead)).depth
