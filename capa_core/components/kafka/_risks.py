"""Risks of a Kafka cluster, by the settings of its brokers and topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from capa_core.driver import Risk

_NAMED = 3
_MINUTE_MS = 60_000
_OFF = ("", "-1", str(2**63 - 1))


class TopicSettings(NamedTuple):
    """A topic: its settings, by name, and on how many brokers its records are."""

    name: str
    replicas: int
    settings: Mapping[str, str]


def risks(brokers: Mapping[str, str], topics: list[TopicSettings]) -> Iterator[Risk]:
    """Yield the risks of *topics* on *brokers* with these settings."""
    for holds, event, loses, remedy in _OF_TOPICS:
        if found := [topic for topic in topics if holds(topic, brokers)]:
            yield Risk(event, f"{loses} of {_named(found)}", remedy)
    if _is_on("log.flush.interval.messages", brokers):
        return
    yield Risk(
        "a power cut of all brokers that have a record",
        "the records of the last seconds, which Kafka acknowledges before they are on a disk",
        "Place the replicas in several zones (`broker.rack`), or set `log.flush.interval.messages` to 1.",
    )


def _one_replica(topic: TopicSettings, _brokers: Mapping[str, str]) -> bool:
    return topic.replicas == 1


def _one_in_sync(topic: TopicSettings, _brokers: Mapping[str, str]) -> bool:
    return topic.replicas > 1 and topic.settings.get("min.insync.replicas") == "1"


def _more_than_there_are(topic: TopicSettings, _brokers: Mapping[str, str]) -> bool:
    return topic.replicas > 1 and int(topic.settings.get("min.insync.replicas", "1")) >= topic.replicas


def _unclean(topic: TopicSettings, _brokers: Mapping[str, str]) -> bool:
    return topic.replicas > 1 and topic.settings.get("unclean.leader.election.enable") == "true"


def _compacted(topic: TopicSettings, _brokers: Mapping[str, str]) -> bool:
    return "compact" in topic.settings.get("cleanup.policy", "")


def _bounded(topic: TopicSettings, _brokers: Mapping[str, str]) -> bool:
    return _is_on("retention.bytes", topic.settings)


def _forgotten(topic: TopicSettings, brokers: Mapping[str, str]) -> bool:
    kept_ms = int(brokers.get("offsets.retention.minutes", "0")) * _MINUTE_MS
    records_ms = int(topic.settings.get("retention.ms", "0"))
    return bool(kept_ms) and not 0 <= records_ms <= kept_ms


_OF_TOPICS: tuple[tuple[Callable[[TopicSettings, Mapping[str, str]], bool], str, str, str], ...] = (
    (
        _one_replica,
        "the loss of the broker that has a partition",
        "the records",
        "Set `replicas` to 3 before a topic is made, and move those that exist by kafka-reassign-partitions.sh.",
    ),
    (
        _one_in_sync,
        "the loss of a broker while the others are behind",
        "acknowledged records",
        "Set `min.insync.replicas` to 2.",
    ),
    (
        _more_than_there_are,
        "the outage of one broker, as `min.insync.replicas` is not below the number of replicas,",
        "the appends, which Kafka refuses until it is back,",
        "Set `min.insync.replicas` to one less than the replicas, and these to 3 (`replicas`).",
    ),
    (
        _unclean,
        "an outage of all replicas in sync",
        "the records that the others do not have",
        "Set `unclean.leader.election.enable` to false.",
    ),
    (_compacted, "compaction", "all records but the last of each key", "Set `cleanup.policy` to delete."),
    (
        _bounded,
        "a backlog of more than `retention.bytes`",
        "the oldest records, received or not,",
        "Set `retention.bytes` to -1.",
    ),
    (
        _forgotten,
        "consumers that are away for longer than `offsets.retention.minutes`",
        "the position of their group, and with it the records that wait for it,",
        "Raise `offsets.retention.minutes` of the brokers to the topics' `retention.ms`.",
    ),
)


def _is_on(name: str, settings: Mapping[str, str]) -> bool:
    return settings.get(name, "") not in _OFF


def _named(topics: list[TopicSettings]) -> str:
    names = sorted(topic.name for topic in topics)
    shown = ", ".join(map(repr, names[:_NAMED]))
    more = len(names) - _NAMED
    return f"the topics {shown} and {more} more" if more > 0 else f"the topics {shown}"
