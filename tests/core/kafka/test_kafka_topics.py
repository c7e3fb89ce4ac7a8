"""Topics that are made or deleted while they are asked for."""

import pytest

from capa_core.blocks.log.driver import Partition, Start
from capa_core.components.kafka._cluster import Cluster
from capa_core.components.kafka._errors import RefusedError
from capa_core.components.kafka._names import Names
from capa_core.components.kafka._settings import KafkaSettings
from capa_core.errors import UnavailableError


@pytest.fixture
def cluster(monkeypatch):
    """A cluster that no request reaches; its topics do not exist, and are made without a word."""
    monkeypatch.setattr(Cluster, "partitions", lambda self, topic: [])
    monkeypatch.setattr(Cluster, "_make", lambda self, topic: None)
    return Cluster(KafkaSettings(timeout_s=0.05), Names(""))


def test_a_new_topic_whose_partitions_get_no_leader_is_an_error(cluster):
    with pytest.raises(RefusedError, match="topic 't' was made, and 0.05 s later not each") as refused:
        cluster.create_topic("t")

    assert UnavailableError is refused.value.kind


def test_a_topic_that_is_deleted_while_its_group_is_made_is_an_error(cluster, monkeypatch):
    monkeypatch.setattr(Cluster, "_led", lambda self, topic: [Partition(topic, 0)])
    monkeypatch.setattr(Cluster, "bounds", lambda self, partitions: {})
    monkeypatch.setattr(Cluster, "committed", lambda self, topic, group: {})

    with pytest.raises(RefusedError, match="topic 't' was deleted while group 'g'"):
        cluster.create_group("t", "g", Start.BEGINNING)
