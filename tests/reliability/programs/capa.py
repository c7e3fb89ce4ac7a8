"""A producer and a consumer of messages on Capa's pub/sub, as processes.

python -m reliability.programs.capa produce|consume PLAN
"""

import json
import os
import sys
import time
from importlib.metadata import entry_points
from typing import Any

from reliability.journal import Journal
from reliability.pace import Pace

from capa_core.blocks.pubsub import Consumer, Message, PubSub
from capa_core.errors import CapaError

TOPIC = "t"
TAKEN_AT_ONCE = 10
WORK_S = 0.001
REST_S = 0.05


def open_pubsub(driver: str, settings: dict[str, Any]) -> PubSub:
    """Return the portable type over the driver of an engine, such as `sqlite`."""
    (entry,) = entry_points(group="capa.pubsub", name=driver)
    kind = entry.load()
    return PubSub(kind(kind.settings_type.model_validate(settings)))


def produce(plan: dict[str, Any]) -> None:
    """Publish the messages of *plan*."""
    journal, pace = Journal(plan["journal"]), Pace(plan["journal"], plan["messages"], plan["rounds"])
    rest = os.urandom(plan["body_bytes"])
    with open_pubsub(plan["driver"], plan["settings"]) as pubsub:
        for numbers in pace.batches():
            journal.note("tried", numbers)
            try:
                results = pubsub.publish_many(
                    TOPIC, [b"%d %s" % (number, rest) for number in numbers], raw=True
                )
            except CapaError:
                journal.note("failed", numbers)
                time.sleep(REST_S)
                continue
            confirmed = {number for number, result in zip(numbers, results, strict=True) if result.ok}
            journal.note("sent", sorted(confirmed))
            journal.note("failed", (number for number in numbers if number not in confirmed))


def consume(plan: dict[str, Any]) -> None:
    """Work on messages until killed."""
    journal = Journal(plan["journal"])
    consumer = _joined(plan)
    while True:
        try:
            messages = consumer.receive(TAKEN_AT_ONCE, 1.0)
        except CapaError:
            journal.note("error", ["-"])
            time.sleep(REST_S)
            continue
        journal.note("taken", [_name(message) for message in messages])
        if not messages:
            journal.note("idle", ["-"])
        for message in messages:
            time.sleep(WORK_S)
            name = [_name(message)]
            journal.note("done", name)
            try:
                consumer.ack([message])
            except CapaError:
                journal.note("unsettled", name)
            else:
                journal.note("settled", name)


def _name(message: Message) -> str:
    return message.data.partition(b" ")[0].decode()


def _joined(plan: dict[str, Any]) -> Consumer:
    pubsub = open_pubsub(plan["driver"], plan["settings"])
    while True:
        try:
            return pubsub.consumer(TOPIC, raw=True, lease=plan["lease_s"])
        except CapaError:
            time.sleep(REST_S)


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](json.loads(sys.argv[2]))
