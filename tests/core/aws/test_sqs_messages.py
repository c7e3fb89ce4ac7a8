"""Messages of SQS that are too large, too late, or of other programs."""

import json

import pytest

from capa_core.blocks.pubsub import Draft
from capa_core.components.aws import _messages
from capa_core.conformance._pubsub.suite import bodies, drain, receive
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import InvalidArgumentError

pytestmark = pytest.mark.server("aws")


def objects(aws, bucket):
    return [one["Key"] for one in aws("s3").list_objects_v2(Bucket=bucket).get("Contents", ())]


def url_of(aws, prefix, topic="t"):
    return aws("sqs").get_queue_url(QueueName=prefix + topic)["QueueUrl"]


def test_a_body_above_the_limit_is_an_object_until_it_is_acknowledged(opened, aws, bucket):
    pubsub = opened(bucket=bucket)
    consumer = pubsub.consumer("t", raw=True)
    body = b"\xff" * 1_200_000
    pubsub.publish("t", body, raw=True)
    (message,) = receive(consumer, 1)
    stored = objects(aws, bucket)
    consumer.ack([message])

    assert body == message.data
    assert (1, 0) == (len(stored), len(objects(aws, bucket)))


def test_each_group_has_an_object_of_its_own(opened, aws, bucket):
    """The first that acknowledges takes nothing from the other."""
    pubsub = opened(bucket=bucket)
    groups = [pubsub.consumer("t", name, raw=True) for name in ("a", "b")]
    pubsub.publish("t", b"x" * 1_100_000, raw=True)
    sizes = [[len(body) for body in bodies(drain(group))] for group in groups]

    assert [[1_100_000]] * 2 == sizes
    assert [] == objects(aws, bucket)


def test_a_message_whose_body_is_gone_is_a_dead_letter(opened, aws, bucket):
    pubsub = opened(bucket=bucket)
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x" * 1_100_000, raw=True, id="lost")
    pubsub.publish("t", b"next", raw=True)
    (key,) = objects(aws, bucket)
    aws("s3").delete_object(Bucket=bucket, Key=key)
    left = bodies(drain(consumer))
    (dead,) = pubsub.dead_letters("t")

    assert [b"next"] == left
    assert ("lost", "default") == (dead.id, dead.group)
    assert "its body is gone from the bucket" in dead.reason
    assert 0 == pubsub.depth("t")


def test_without_a_bucket_a_large_message_is_refused_and_the_others_are_stored(opened):
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True)
    large = Draft(data=b"x" * 1_000_000, attributes={"h": "v" * 60_000})
    results = pubsub.publish_many("t", [b"1", large, b"2"], raw=True)

    assert [True, False, True] == [result.ok for result in results]
    assert isinstance(results[1].error, InvalidArgumentError)
    assert "Set `bucket` of this component" in str(results[1].error)
    assert [b"1", b"2"] == sorted(bodies(drain(consumer, 2)))


def test_a_batch_above_the_limit_of_a_request_is_several(opened):
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True)
    drafts = [bytes([number]) * 300_000 for number in range(200, 212)]
    results = pubsub.publish_many("t", drafts, raw=True)

    assert [True] * 12 == [result.ok for result in results]
    assert drafts == sorted(bodies(drain(consumer, 12)))


def test_a_delay_longer_than_sqs_has_is_made_of_several(opened, aws, prefix, monkeypatch):
    """It is delivered once, not early, and not counted more often."""
    monkeypatch.setattr(_messages, "LONGEST_DELAY_S", 1)
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True)
    import time

    published = time.monotonic()
    pubsub.publish("t", b"late", raw=True, delay=3.4, id="one")
    (message,) = receive(consumer, 1)

    assert 3.3 < time.monotonic() - published
    assert ("one", 1, b"late") == (message.id, message.delivery_count, message.data)
    assert abs(message.published_at - time.time()) < 30
    assert [] == consumer.receive(1, 1.5)


def test_a_lost_lease_of_a_message_on_its_way_does_not_bring_it_early():
    """Its first look is told by SQS itself, so that what is left of the delay is known after any number of looks."""
    meta = json.dumps({"id": "i", "wait": 5000})
    for count in (1, 2, 7):
        raw = {
            "MessageId": "m",
            "ReceiptHandle": "r",
            "Body": "x",
            "MessageAttributes": {"capa": {"DataType": "String", "StringValue": meta}},
            "Attributes": {
                "SentTimestamp": "1000000",
                "ApproximateFirstReceiveTimestamp": "1900000",
                "ApproximateReceiveCount": str(count),
            },
        }

        assert 4100 == _messages.pulled(raw, 0).wait_s


def test_other_programs_read_texts(opened, aws, prefix):
    opened().publish("t", "größe", raw=True)
    (found,) = aws("sqs").receive_message(QueueUrl=url_of(aws, prefix))["Messages"]

    assert "größe" == found["Body"]


@pytest.mark.parametrize("odd", ["", "{", "[]", '{"id": 7}', '{"id": "i", "attributes": [1]}', "[" * 100_000])
def test_messages_of_other_programs_arrive(opened, aws, prefix, odd):
    """Also one that has an attribute of our name."""
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True)
    attributes = {"tenant": {"DataType": "String", "StringValue": "t1"}}
    if odd:
        attributes["capa"] = {"DataType": "String", "StringValue": odd}
    sent = aws("sqs").send_message(
        QueueUrl=url_of(aws, prefix), MessageBody="hello", MessageAttributes=attributes
    )
    (message,) = receive(consumer, 1)

    assert (sent["MessageId"], b"hello", "t1") == (
        message.id,
        message.data,
        message.attributes["tenant"],
    )


def test_a_fifo_queue_takes_an_id_once(opened):
    pubsub = opened(fifo=True)
    consumer = pubsub.consumer("t", raw=True)
    for _ in range(3):
        pubsub.publish("t", b"x", raw=True, id="same", key="k")

    assert [b"x"] == bodies(drain(consumer))


def test_an_operators_redrive_policy_is_respected(opened, aws, prefix):
    pubsub = opened()
    consumer = pubsub.consumer("t", raw=True, lease=1)
    there = aws("sqs").create_queue(QueueName=f"{prefix}theirs")["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=there, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})
    aws("sqs").set_queue_attributes(QueueUrl=url_of(aws, prefix), Attributes={"RedrivePolicy": policy})
    pubsub.publish("t", b"x", raw=True)
    consumer.nack(receive(consumer, 1))
    consumer.nack(receive(consumer, 1))

    assert [] == consumer.receive(1, 1.0)
    wait_until(lambda: aws("sqs").receive_message(QueueUrl=there).get("Messages"))
