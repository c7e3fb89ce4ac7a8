"""Pub/sub on SNS and SQS: SNS gives each message to the queue of every group, and to whoever else has subscribed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
from botocore.client import BaseClient

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubFeature
from capa_core.components.aws._messages import Carried, Entry, entry
from capa_core.components.aws._names import Names
from capa_core.components.aws._queues import Links
from capa_core.components.aws._risks import of_subscriptions
from capa_core.components.aws._sender import batches, outcomes
from capa_core.components.aws._settings import SnsSettings
from capa_core.components.aws._topics import Topics
from capa_core.components.aws.sqs import SqsPubSub
from capa_core.driver import Risk
from capa_core.errors import CapaError

LARGEST_BYTES = 256 * 1024


class SnsPubSub(SqsPubSub):
    """Pub/sub on one SNS topic and one queue for each group: a publish is one request, however many groups there are.

    What SNS does not take, a message above 256 KiB, goes to the queues of the groups past it, as the driver `sqs` sends
    it: other subscribers of the topic do not get it. A delayed message comes to the queues at once, and a consumer of
    each sends it on its way.
    """

    settings_type = SnsSettings
    features = {
        **SqsPubSub.features,
        PubSubFeature.GROUPS: NATIVE,
        PubSubFeature.ORDER_BY_KEY: absent("the driver `sqs` orders by key, with `fifo`"),
    }

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: as of `SqsPubSub`, but the client is that of SNS."""
        return {BaseClient: lambda: self.connections.native("sns"), boto3.Session: self.connections.session}

    def forget_topic(self, names: Names) -> None:
        """See `SqsPubSub.forget_topic`."""
        super().forget_topic(names)
        self.topics_of_sns.forget(names)
        self._connected.discard(names.topic)

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return [*super().risks(), *of_subscriptions(self.queues, self.topics_of_sns)]

    def join(self, names: Names, group: str) -> str:
        """See `SqsPubSub.join`."""
        url = super().join(names, group)
        self._connect_all(names)
        return url

    def _connect_all(self, names: Names) -> None:
        """Subscribe all queues of a topic, once: it may have been deleted, and made anew without the others."""
        if names.topic not in self._connected:
            self.topics_of_sns.connect_all(names, self.queues.routes(names))
            self._connected.add(names.topic)

    def _links(self) -> Links:
        self._connected: set[str] = set()
        self.topics_of_sns = Topics(self.connections)
        return self.topics_of_sns

    def _publish(self, names: Names, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """Publish *messages*: those for SNS first."""
        self.queues.base(names)  # it keeps what comes before the first group
        self._connect_all(names)
        entries = [entry(message, Carried(wait_s=message.delay_s), as_text=True) for message in messages]
        small = [place for place, one in enumerate(entries) if one.size <= LARGEST_BYTES]
        found = dict(zip(small, self._to_topic(names, [entries[place] for place in small]), strict=True))
        large = [place for place in range(len(entries)) if place not in found]
        if large:
            urls = self.queues.routes(names)
            found |= zip(large, self._send(names, urls, [messages[place] for place in large]), strict=True)
        return [found[place] for place in range(len(entries))]

    def _to_topic(self, names: Names, entries: Sequence[Entry]) -> list[CapaError | None]:
        topic = self.topics_of_sns.arn(names)
        found: list[CapaError | None] = []
        for batch in batches(entries, LARGEST_BYTES):
            numbered = [
                {
                    "Id": str(number),
                    "Message": one.request["MessageBody"],
                    "MessageAttributes": one.request["MessageAttributes"],
                }
                for number, one in enumerate(batch)
            ]
            place = topic.rpartition(":")[2]
            answer = self.connections.call(
                "sns", "PublishBatch", place, TopicArn=topic, PublishBatchRequestEntries=numbered
            )
            found += outcomes(answer, len(batch), "sns:Publish", self.connections.place("sns", place))
        return found
