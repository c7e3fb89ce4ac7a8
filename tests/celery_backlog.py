"""Messages that the original Celery has published, and that wait in its broker."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import uuid4

import redis

NAME = "killed"
_PUBLISH = """
import json, sys
from celery import Celery, chord

address, name, tasks = sys.argv[1], sys.argv[2], json.load(sys.stdin)
app = Celery(name, broker=address, backend="cache+memory://")
app.conf.accept_content = ["json", "pickle"]
for task, args, options in tasks:
    if options.pop("in_chord", False):
        chord([app.signature(task, args=args)] * 2, app.signature(task, args=args)).apply_async(**options)
    else:
        app.send_task(task, args, **options)
app.close()
"""

Task = tuple[str, list[Any], Mapping[str, Any]]


def publish(address: str, tasks: Iterable[Task]) -> None:
    """Publish *tasks*, each a name, arguments and options of `send_task`, in a process: Celery leaves connections open.

    With the option `in_chord` a task is twice in the header of a chord.
    """
    command = [sys.executable, "-W", "ignore", "-c", _PUBLISH, address, NAME]
    subprocess.run(
        command, input=json.dumps(list(tasks)), text=True, check=True, stderr=subprocess.DEVNULL, timeout=60
    )


def multiplied(broker: "redis.Redis", times: int) -> list[str]:
    """Have each message of the queue `celery` wait so often, each as one of its own; return the ids of their tasks.

    To publish thousands takes Celery minutes on a busy machine.
    """
    waiting = [json.loads(raw) for raw in broker.lrange("celery", 0, -1)]
    copies = [_copy(message) for message in waiting for _ in range(times - 1)]
    broker.lpush("celery", *map(json.dumps, copies))
    return [message["headers"]["id"] for message in (*waiting, *copies)]


def multiplied_on_rabbitmq(channel: Any, queue: str, times: int) -> list[str]:
    """Do as `multiplied` with a queue of RabbitMQ; *channel* is a blocking one of pika's."""
    found = []
    while (message := channel.basic_get(queue, auto_ack=True))[0] is not None:
        found.append(message[1:])
    idents = [str(uuid4()) for _ in range(times * len(found))]
    for number, ident in enumerate(idents):
        properties, body = found[number % len(found)]
        properties.headers["id"] = properties.correlation_id = ident
        channel.basic_publish("", queue, body, properties)
    return idents


def _copy(message: dict[str, Any]) -> dict[str, Any]:
    ident, tag = str(uuid4()), str(uuid4())
    headers, properties = message["headers"], message["properties"]
    return {
        **message,
        "headers": {**headers, "id": ident, "root_id": ident},
        "properties": {**properties, "correlation_id": ident, "delivery_tag": tag},
    }


def work(number: int, **options: Any) -> Task:
    """Return a task that `celery_fleet.Fleet` notes by its number."""
    return f"{NAME}.work", [number, 0], options
