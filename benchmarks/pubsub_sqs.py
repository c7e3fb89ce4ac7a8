"""The cost of messages on SQS: publish one or many, and drain many, on ElasticMQ, an independent implementation."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3

from benchmarks.measure import Figures, Row, compare, elapsed_s, interleave, ratio_at_least, ratio_at_most
from benchmarks.messages import (
    ATTRIBUTES,
    BATCH,
    BODY,
    MANY,
    drained_per_s,
    many_per_s,
    opened,
    publishing,
)
from capa_core.blocks.pubsub import PubSub
from capa_core.components.aws.sqs import SqsPubSub
from tests.servers.elasticmq import ElasticServer

PEER = "boto3's client of SQS"
SAME = "1 kB, on ElasticMQ, without persistence"
AT_ONCE = 10
HEADERS = {name: {"DataType": "String", "StringValue": value} for name, value in ATTRIBUTES.items()}
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def run() -> list[Row]:
    """Measure both sides on one server."""
    os.environ.update(CREDENTIALS)
    with ElasticServer.started() as server, _peer(server.url) as peer, opened(_driver(server.url)) as ours:
        return [
            Row("publish one, SQS", PEER, _publish(peer, ours), ratio_at_most(1.2), note=SAME),
            Row(
                "publish many, SQS",
                PEER,
                _publish_many(peer, ours),
                ratio_at_least(0.83),
                "/s",
                f"{SAME}, {AT_ONCE} in a request",
            ),
            Row(
                "drain, SQS",
                PEER,
                interleave(lambda: _drain_peer(peer), lambda: drained_per_s(ours)),
                ratio_at_least(0.7),
                "/s",
                f"{MANY} messages of 1 kB, {AT_ONCE} in a request, acknowledged in requests of {AT_ONCE}",
            ),
        ]


@contextmanager
def _peer(url: str) -> Iterator[tuple[Any, str]]:
    client = boto3.client("sqs", endpoint_url=url)
    yield client, client.create_queue(QueueName="peer")["QueueUrl"]
    client.close()


def _driver(url: str) -> SqsPubSub:
    return SqsPubSub(SqsPubSub.settings_type(endpoint_url=url))


def _publish(peer: tuple[Any, str], ours: PubSub) -> Figures:
    figures = compare(_publishing_peer(peer), publishing(ours))
    _empty(peer, ours)
    return figures


def _publish_many(peer: tuple[Any, str], ours: PubSub) -> Figures:
    figures = interleave(
        lambda: BATCH / elapsed_s(lambda: _send(peer, BATCH)),
        lambda: many_per_s(ours),
    )
    _empty(peer, ours)
    return figures


def _drain_peer(peer: tuple[Any, str]) -> float:
    client, queue = peer
    _send(peer, MANY)

    def drain() -> None:
        left = MANY
        while left:
            found = client.receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=AT_ONCE,
                WaitTimeSeconds=5,
                MessageAttributeNames=["All"],
                MessageSystemAttributeNames=["All"],
            )["Messages"]
            entries = [
                {"Id": str(number), "ReceiptHandle": one["ReceiptHandle"]} for number, one in enumerate(found)
            ]
            client.delete_message_batch(QueueUrl=queue, Entries=entries)
            left -= len(found)

    return MANY / elapsed_s(drain)


def _send(peer: tuple[Any, str], count: int) -> None:
    client, queue = peer
    text = BODY.decode()
    for _ in range(count // AT_ONCE):
        entries = [
            {"Id": str(number), "MessageBody": text, "MessageAttributes": HEADERS}
            for number in range(AT_ONCE)
        ]
        client.send_message_batch(QueueUrl=queue, Entries=entries)


def _publishing_peer(peer: tuple[Any, str]) -> Callable[[], object]:
    client, queue = peer
    return partial(client.send_message, QueueUrl=queue, MessageBody=BODY.decode(), MessageAttributes=HEADERS)


def _empty(peer: tuple[Any, str], ours: PubSub) -> None:
    client, queue = peer
    client.purge_queue(QueueUrl=queue)
    ours.purge("t")
