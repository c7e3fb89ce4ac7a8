"""Risks of a Kafka cluster, by its settings; tests/migration/test_doctor_risks.py asks a real one."""

import pytest

from capa_core.components.kafka._risks import TopicSettings, risks

BROKERS = {"log.flush.interval.messages": "1", "offsets.retention.minutes": "10080"}
SAFE = {
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "cleanup.policy": "delete",
    "retention.bytes": "-1",
    "retention.ms": "604800000",
}


def told(brokers=BROKERS, replicas=3, **settings):
    """Return what is told of two topics with these settings."""
    changed = {name.replace("_", "."): value for name, value in settings.items()}
    topics = [TopicSettings(name, replicas, SAFE | changed) for name in ("orders", "events")]
    return [str(risk) for risk in risks(brokers, topics)]


def test_safe_settings_have_no_risk():
    assert [] == told()


@pytest.mark.parametrize(
    ("settings", "start", "remedy"),
    [
        (
            {"replicas": 1},
            "the loss of the broker that has a partition loses the records of",
            "Set `replicas`",
        ),
        ({"min_insync_replicas": "1"}, "the loss of a broker while", "Set `min.insync.replicas` to 2"),
        (
            {"min_insync_replicas": "3"},
            "the outage of one broker, as `min.insync",
            "Set `min.insync.replicas`",
        ),
        ({"unclean_leader_election_enable": "true"}, "an outage of all replicas", "Set `unclean.leader"),
        ({"cleanup_policy": "compact"}, "compaction loses all records but the last of each", "Set `cleanup"),
        ({"retention_bytes": "1000"}, "a backlog of more than", "Set `retention.bytes` to -1"),
        ({"retention_ms": "604800001"}, "consumers that are away", "Raise `offsets.retention.minutes`"),
        ({"retention_ms": "-1"}, "consumers that are away", "Raise `offsets.retention.minutes`"),
        ({"brokers": {}}, "a power cut of all brokers", "Place the replicas in several zones"),
    ],
    ids=str,
)
def test_each_unsafe_setting_is_told_with_the_one_to_change(settings, start, remedy):
    (line,) = told(**settings)

    assert line.startswith(start)
    assert remedy in line
    assert "brokers" in settings or "the topics 'events', 'orders'" in line


def test_of_many_topics_three_are_named():
    topics = [TopicSettings(f"t{number}", 1, SAFE) for number in range(9)]
    (risk,) = risks(BROKERS, topics)

    assert "the topics 't0', 't1', 't2' and 6 more" in str(risk)
