"""Settings of queues that lose messages, as `capa doctor` tells them."""

import json

import pytest

pytestmark = pytest.mark.server("aws")


@pytest.fixture
def pubsub(opened):
    pubsub = opened()
    pubsub.consumer("t").close()
    return pubsub


@pytest.fixture
def change(pubsub, aws, prefix):
    """Give a function that sets attributes of the queue of the topic `t`."""
    url = aws("sqs").get_queue_url(QueueName=f"{prefix}t")["QueueUrl"]
    return lambda **attributes: aws("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)


def arn_of(aws, url):
    return aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]


def told(pubsub):
    return [str(risk) for risk in pubsub.risks()]


def test_a_queue_as_it_is_made_has_none(pubsub):
    assert [] == told(pubsub)


def test_a_short_retention_is_told(pubsub, change):
    change(MessageRetentionPeriod="345600")
    (risk,) = told(pubsub)

    assert "a group that stands still for 4 days" in risk
    assert "Set its MessageRetentionPeriod to 1209600" in risk


def test_a_dead_letter_queue_that_keeps_less_is_told(pubsub, change, aws, prefix):
    """Its time counts from the first publish."""
    url = aws("sqs").create_queue(
        QueueName=f"{prefix}theirs", Attributes={"MessageRetentionPeriod": "345600"}
    )["QueueUrl"]
    change(RedrivePolicy=json.dumps({"deadLetterTargetArn": arn_of(aws, url), "maxReceiveCount": "5"}))

    assert any("a dead letter of the queue" in risk and f"{prefix}theirs" in risk for risk in told(pubsub))


def test_a_dead_letter_queue_that_is_not_there_is_told(pubsub, change, aws, prefix):
    url = aws("sqs").create_queue(QueueName=f"{prefix}theirs")["QueueUrl"]
    change(RedrivePolicy=json.dumps({"deadLetterTargetArn": arn_of(aws, url), "maxReceiveCount": "5"}))
    aws("sqs").delete_queue(QueueUrl=url)

    assert any("delivery number 5" in risk and "which is not there" in risk for risk in told(pubsub))


def test_a_queue_that_is_not_encrypted_is_told(pubsub, change):
    change(SqsManagedSseEnabled="false")

    assert any("is not encrypted" in risk for risk in told(pubsub))
