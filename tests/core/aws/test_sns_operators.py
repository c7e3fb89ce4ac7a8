"""Topics and subscriptions of SNS that an operator deleted or changed: mended where Capa can know, and told where not.

The server is moto, an emulator of AWS.
"""

import re

import pytest

from capa_core.conformance._pubsub.suite import bodies, drain

pytestmark = [pytest.mark.server("aws"), pytest.mark.timeout(60)]


@pytest.fixture
def pubsub(opened):
    pubsub = opened("sns")
    pubsub.consumer("t", "stock").close()
    return pubsub


@pytest.fixture
def topic(aws, prefix, pubsub):
    """Give the ARN of the topic."""
    del pubsub
    return next(each["TopicArn"] for each in aws("sns").list_topics()["Topics"] if prefix in each["TopicArn"])


def subscription(aws, topic):
    (found,) = aws("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return found["SubscriptionArn"]


@pytest.mark.parametrize("starts", [False, True], ids=["runs", "starts"])
def test_a_topic_that_an_operator_deleted_is_made_again_for_all_groups(pubsub, opened, aws, topic, starts):
    """SNS deletes the subscriptions with it, those of groups that are not there at the moment too."""
    consumers = [pubsub.consumer("t", group, raw=True) for group in ("stock", "billing")]
    aws("sns").delete_topic(TopicArn=topic)
    publisher = opened("sns") if starts else pubsub
    publisher.publish("t", b"x", raw=True)

    assert [[b"x"], [b"x"]] == [bodies(drain(consumer)) for consumer in consumers]


def test_subscriptions_as_they_are_made_have_no_risk(pubsub):
    assert [] == list(pubsub.risks())


def test_a_subscription_that_an_operator_deleted_is_told_and_made_by_the_next_start(
    pubsub, opened, aws, topic
):
    aws("sns").unsubscribe(SubscriptionArn=subscription(aws, topic))
    (risk,) = opened("sns").risks()
    opened("sns").consumer("t", "stock").close()

    assert "each publish loses its messages for the queue" in str(risk)
    assert "Start the application again" in risk.remedy
    assert [] == list(pubsub.risks())


CHANGED = [
    ("FilterPolicy", '{"kind": ["paid"]}', "the FilterPolicy of its subscription loses those messages"),
    ("RawMessageDelivery", "false", "loses attributes and body .* Set RawMessageDelivery"),
]


@pytest.mark.parametrize(("name", "value", "told"), CHANGED, ids=["filter", "raw"])
def test_a_subscription_that_an_operator_changed_is_told(pubsub, aws, topic, name, value, told):
    arn = subscription(aws, topic)
    aws("sns").set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
    (risk,) = pubsub.risks()

    assert re.search(told, str(risk))
