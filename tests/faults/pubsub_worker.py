"""A consumer to kill: receives messages, records and acknowledges them, until it is killed.

python pubsub_worker.py DRIVER SETTINGS TOPIC LOG
"""

import os
import sys
import time
from contextlib import suppress
from importlib.metadata import entry_points

from capa_core.blocks.pubsub import PubSub
from capa_core.errors import UnavailableError

LEASE_S = 1.0
BATCH = 20
WORK_S = 0.001


def open_pubsub(driver, settings):
    """Return the portable type over the driver of an engine, such as `sqlite`, with *settings* as JSON."""
    (entry,) = entry_points(group="capa.pubsub", name=driver)
    kind = entry.load()
    return PubSub(kind(kind.settings_type.model_validate_json(settings)))


def main(driver, settings, topic, log):
    consumer = open_pubsub(driver, settings).consumer(topic, raw=True, lease=LEASE_S)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    while True:
        # After a pause the engine may have closed its connection: it goes on with another, as a subscription does.
        with suppress(UnavailableError):
            for message in consumer.receive(BATCH, 1.0):
                time.sleep(WORK_S)
                os.write(descriptor, message.data + b"\n")
                consumer.ack([message])


if __name__ == "__main__":
    main(*sys.argv[1:])
