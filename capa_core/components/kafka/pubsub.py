"""Pub/sub on Kafka: a queue over its log."""

from capa_core.blocks.pubsub.over_log import QueueOverLog
from capa_core.components.kafka._settings import KafkaSettings
from capa_core.components.kafka.log import KafkaLog


class KafkaPubSub(QueueOverLog[KafkaSettings]):
    """Pub/sub on topics of Kafka, and a retry topic for each group."""

    log_type = KafkaLog
