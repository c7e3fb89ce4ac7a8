"""Topics of SNS, and their subscriptions: each queue of a topic gets its messages as they were published."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._names import Names
from capa_core.components.aws._queues import Links


class Topics(Links):
    """The topics that one component knows. A topic and its own queue have one name."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._arns: dict[str, str] = {}

    def arn(self, names: Names) -> str:
        """Have the topic of SNS, and return its name there."""
        if names.topic not in self._arns:
            answer = self._call("CreateTopic", names.base, Name=names.base)
            self._arns[names.topic] = str(answer["TopicArn"])
        return self._arns[names.topic]

    def forget(self, names: Names) -> None:
        """Make the topic anew when it is needed next: it was deleted."""
        self._arns.pop(names.topic, None)

    def attributes(self, names: Names, queue: str) -> dict[str, str]:
        """See `Links.attributes`: the policy, since one that is set later takes up to a minute to hold."""
        topic = self.arn(names)
        return {"Policy": json.dumps(_policy(topic, _queue_arn(topic, queue)))}

    def connect(self, names: Names, url: str) -> None:
        """See `Links.connect`: a queue that an operator made keeps its other statements."""
        topic = self.arn(names)
        queue = _queue_arn(topic, url.rpartition("/")[2])
        self._allow(url, topic, queue)
        self._call(
            "Subscribe",
            topic,
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=queue,
            Attributes={"RawMessageDelivery": "true"},
        )

    def disconnect(self, names: Names, url: str) -> None:
        """See `Links.disconnect`."""
        topic = self.arn(names)
        queue = _queue_arn(topic, url.rpartition("/")[2])
        for subscription in self._subscriptions(topic).get(queue, ()):
            self._call("Unsubscribe", topic, SubscriptionArn=subscription)

    def connect_all(self, names: Names, urls: Sequence[str]) -> None:
        """Connect those queues of a topic that have no subscription: SNS deletes a topic with all of them."""
        topic = self.arn(names)
        there = self._subscriptions(topic)
        for url in urls:
            if _queue_arn(topic, url.rpartition("/")[2]) not in there:
                self.connect(names, url)

    def subscribed(self, names: Names, url: str) -> list[dict[str, str]]:
        """Return the attributes of each subscription of a queue to the topic, which is not made for that."""
        answer = self._clients.call(
            "sqs", "GetQueueAttributes", url, QueueUrl=url, AttributeNames=["QueueArn"]
        )
        queue = str(answer["Attributes"]["QueueArn"])
        topic = ":".join([*queue.replace(":sqs:", ":sns:", 1).split(":")[:-1], names.base])
        try:
            found = self._subscriptions(topic).get(queue, [])
            return [
                dict(self._call("GetSubscriptionAttributes", topic, SubscriptionArn=one)["Attributes"])
                for one in found
            ]
        except AwsError as error:
            if not error.is_missing:
                raise
            return []

    def _subscriptions(self, topic: str) -> dict[str, list[str]]:
        """Return the subscriptions of each queue to *topic*."""
        found: dict[str, list[str]] = {}
        request: dict[str, Any] = {"TopicArn": topic}
        while True:
            answer = self._call("ListSubscriptionsByTopic", topic, **request)
            for one in answer.get("Subscriptions", ()):
                found.setdefault(str(one["Endpoint"]), []).append(str(one["SubscriptionArn"]))
            if not answer.get("NextToken"):
                return found
            request["NextToken"] = answer["NextToken"]

    def _allow(self, url: str, topic: str, queue: str) -> None:
        answer = self._clients.call("sqs", "GetQueueAttributes", url, QueueUrl=url, AttributeNames=["Policy"])
        text = answer.get("Attributes", {}).get("Policy")
        there = json.loads(text) if text else {}
        ours = _policy(topic, queue)
        if any(topic in json.dumps(one) for one in there.get("Statement", ())):
            return
        policy = {**ours, **there, "Statement": [*there.get("Statement", ()), *ours["Statement"]]}
        attributes = {"Policy": json.dumps(policy)}
        self._clients.call("sqs", "SetQueueAttributes", url, QueueUrl=url, Attributes=attributes)

    def _call(self, action: str, place: str, **request: Any) -> Any:
        return self._clients.call("sns", action, place.rpartition(":")[2], **request)


def _queue_arn(topic: str, queue: str) -> str:
    """Return the name of a queue of the region and account of a topic."""
    return ":".join([*topic.replace(":sns:", ":sqs:", 1).split(":")[:-1], queue])


def _policy(topic: str, queue: str) -> dict[str, Any]:
    statement = {
        "Sid": "capa",
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}
