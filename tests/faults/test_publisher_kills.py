"""A publisher that is killed at any moment."""

import json
import random
import subprocess
import sys
import time

from reliability.programs.capa import open_pubsub
from reliability.sides import environment

PUBLISH = """
import json, sys
from reliability.programs.capa import open_pubsub
pubsub = open_pubsub("sqlite", json.loads(sys.argv[1]))
for number in range(100_000):
    pubsub.publish("t", b"%d" % number * 1000, raw=True, id=str(number))
    print(number, flush=True)
"""


def test_a_killed_publisher_leaves_whole_messages_only(tmp_path):
    settings = {"folder": str(tmp_path / "capa")}
    command = [sys.executable, "-c", PUBLISH, json.dumps(settings)]
    publisher = subprocess.Popen(command, env=environment({}), stdout=subprocess.PIPE, text=True)
    assert "0\n" == publisher.stdout.readline()
    time.sleep(random.uniform(0.2, 0.6))
    publisher.kill()
    last = int(publisher.communicate()[0].split()[-1])
    with open_pubsub("sqlite", settings) as pubsub:
        consumer = pubsub.consumer("t", raw=True)
        stored = {}
        while messages := consumer.receive(1_000, 0):
            stored |= {int(message.id): message.data for message in messages}

    assert set(range(last + 1)) <= set(stored)
    assert all(data == b"%d" % number * 1000 for number, data in stored.items())
