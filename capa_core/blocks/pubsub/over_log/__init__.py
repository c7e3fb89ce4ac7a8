"""A pub/sub driver over any log: the part of a queue that a log engine such as Kafka does not have.

The driver of such an engine is a class with a name:

    class KafkaPubSub(QueueOverLog[KafkaLogSettings]):
        log_type = KafkaLog
"""

from capa_core.blocks.pubsub.over_log._driver import QueueOverLog

__all__ = ["QueueOverLog"]
