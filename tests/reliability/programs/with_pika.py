"""A producer and a consumer written with pika: quorum queue, confirms, acknowledgement after the work, reconnection.

python -m reliability.programs.with_pika produce|consume PLAN
"""

import json
import sys
import time
from typing import Any

import pika
from pika.adapters.blocking_connection import BlockingChannel
from pika.exceptions import AMQPError
from reliability.journal import Journal
from reliability.pace import Pace

QUEUE = "t"
PREFETCH = 10
WORK_S = 0.001
REST_S = 0.05
LASTING = pika.BasicProperties(delivery_mode=2)


def produce(plan: dict[str, Any]) -> None:
    """Publish the messages of *plan*, each confirmed."""
    journal, channel = Journal(plan["journal"]), None
    for numbers in Pace(plan["journal"], plan["messages"], plan["rounds"]).batches():
        for number in numbers:
            journal.note("tried", [number])
            try:
                channel = channel or _channel(plan["url"])
                channel.basic_publish("", QUEUE, b"%d" % number, LASTING, mandatory=True)
            except (AMQPError, OSError):
                journal.note("failed", [number])
                channel = None
                time.sleep(REST_S)
            else:
                journal.note("sent", [number])


def consume(plan: dict[str, Any]) -> None:
    """Work on messages until killed."""
    journal = Journal(plan["journal"])
    while True:
        try:
            channel = _channel(plan["url"])
            channel.basic_qos(prefetch_count=PREFETCH)
            for method, _, body in channel.consume(QUEUE, inactivity_timeout=1.0):
                if method is None:
                    journal.note("idle", ["-"])
                    continue
                name = [body.decode()]
                journal.note("taken", name)
                time.sleep(WORK_S)
                journal.note("done", name)
                channel.basic_ack(method.delivery_tag)
                journal.note("settled", name)
        except (AMQPError, OSError):
            time.sleep(REST_S)


def _channel(url: str) -> BlockingChannel:
    channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
    channel.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
    channel.confirm_delivery()
    return channel


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](json.loads(sys.argv[2]))
