"""A producer and a consumer written with confluent-kafka: idempotent, commits after the work, one message at a time.

python -m reliability.programs.with_confluent produce|consume PLAN
"""

import json
import sys
import time
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from reliability.journal import Journal
from reliability.pace import Pace

TOPIC = "t"
WORK_S = 0.001
ANSWERED_S = 5.0


def produce(plan: dict[str, Any]) -> None:
    """Publish the messages of *plan*, each batch confirmed before the next."""
    journal, pace = Journal(plan["journal"]), Pace(plan["journal"], plan["messages"], plan["rounds"])
    _make_topic(plan)
    producer = Producer({**plan["options"], "enable.idempotence": True})

    def note(error: KafkaError | None, message: Message) -> None:
        journal.note("failed" if error else "sent", [(message.value() or b"").decode()])

    for numbers in pace.batches():
        journal.note("tried", numbers)
        for number in numbers:
            producer.produce(TOPIC, b"%d" % number, on_delivery=note)
        while producer.flush(ANSWERED_S):
            continue  # the library itself sends again what the brokers have not confirmed


def consume(plan: dict[str, Any]) -> None:
    """Work on messages until killed."""
    journal = Journal(plan["journal"])
    group = {"group.id": "g", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    session = {"session.timeout.ms": round(plan["lease_s"] * 1000), "heartbeat.interval.ms": 500}
    consumer = Consumer({**plan["options"], **group, **session})
    consumer.subscribe([TOPIC])
    while True:
        message = consumer.poll(1.0)
        if message is None or message.error():
            journal.note("idle" if message is None else "error", ["-"])
            continue
        name = [(message.value() or b"").decode()]
        journal.note("taken", name)
        time.sleep(WORK_S)
        journal.note("done", name)
        try:
            consumer.commit(message, asynchronous=False)
        except KafkaException:
            journal.note("unsettled", name)
        else:
            journal.note("settled", name)


def _make_topic(plan: dict[str, Any]) -> None:
    topic = NewTopic(TOPIC, plan["partitions"], 1)
    admin = AdminClient(plan["options"])  # named, or it ends before it has an answer
    for made in admin.create_topics([topic]).values():
        made.result(ANSWERED_S)


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](json.loads(sys.argv[2]))
