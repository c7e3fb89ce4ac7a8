"""Risks of queues of SQS, and of their subscriptions to topics of SNS, by their attributes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from capa_core.components.aws._errors import AwsError
from capa_core.components.aws._queues import Queues
from capa_core.components.aws._settings import LONGEST_RETENTION_S
from capa_core.components.aws._topics import Topics
from capa_core.driver import Risk
from capa_core.errors import PermissionDeniedError

_DAY_S = 24 * 3600


def risks(queues: Queues) -> Iterator[Risk]:
    """Yield the risks of the queues of each topic."""
    for topic in sorted(queues.topics()):
        names = queues.names(topic)
        lasting = [queue for queue in queues.others(names) if not names.is_listener(queue)]
        for queue in (names.base, *sorted(lasting)):
            if url := queues.find(queue):
                yield from _of_queue(queues, queue, queues.attributes(url))


def of_subscriptions(queues: Queues, topics: Topics) -> Iterator[Risk]:
    """Yield the risks of the subscriptions of the queues of each topic."""
    for topic in sorted(queues.topics()):
        names = queues.names(topic)
        base = queues.find(names.base)
        for url in [*([base] if base else []), *queues.others(names).values()]:
            yield from _of_queue_of_sns(url.rpartition("/")[2], topics.subscribed(names, url))


def _of_queue_of_sns(queue: str, found: list[dict[str, str]]) -> Iterator[Risk]:
    again = "Remove its subscription, and start the application again, which makes it."
    if not found:
        yield Risk(
            "each publish",
            f"its messages for the queue {queue!r}, which is not subscribed to the topic of SNS",
            "Start the application again, which subscribes it.",
        )
    for each in found:
        if each.get("FilterPolicy", "{}") not in ("", "{}"):
            yield Risk(
                "the FilterPolicy of its subscription",
                f"those messages for the queue {queue!r} that it does not let pass",
                again,
            )
        if each.get("RawMessageDelivery", "true") != "true":
            yield Risk(
                "each publish",
                f"attributes and body of its messages for the queue {queue!r}, which come within SNS's own JSON",
                "Set RawMessageDelivery of its subscription to true.",
            )


def _of_queue(queues: Queues, queue: str, found: Mapping[str, str]) -> Iterator[Risk]:
    kept_s = int(found.get("MessageRetentionPeriod", LONGEST_RETENTION_S))
    if kept_s < LONGEST_RETENTION_S:
        yield Risk(
            f"a group that stands still for {kept_s / _DAY_S:.3g} days",
            f"what waits in the queue {queue!r}",
            f"Set its MessageRetentionPeriod to {LONGEST_RETENTION_S}, the most that SQS has.",
        )
    if redrive := found.get("RedrivePolicy"):
        yield from _redrive(queues, queue, kept_s, redrive)
    if found.get("SqsManagedSseEnabled", "true") == "false" and not found.get("KmsMasterKeyId"):
        yield Risk(
            "a look at the disks of the service",
            f"the secrecy of what waits in the queue {queue!r}, which is not encrypted",
            "Set its SqsManagedSseEnabled to true, or a KmsMasterKeyId.",
        )


def _redrive(queues: Queues, queue: str, kept_s: int, policy: str) -> Iterator[Risk]:
    """Yield the risks of an operator's own dead letter queue, whose retention counts from the first publish."""
    told = json.loads(policy)
    target = str(told.get("deadLetterTargetArn", "")).rpartition(":")[2]
    most = told.get("maxReceiveCount")
    url = queues.find(target)
    if url is None:
        yield Risk(
            f"delivery number {most}",
            f"a message of the queue {queue!r}, whose RedrivePolicy names the queue {target!r}, which is not there",
            "Make that queue, or remove the RedrivePolicy and set `max_deliveries`, which keeps dead letters.",
        )
        return
    try:
        there_s = int(queues.attributes(url, "MessageRetentionPeriod").get("MessageRetentionPeriod", kept_s))
    except AwsError as error:
        if error.kind is not PermissionDeniedError:
            raise
        return  # what cannot be read is left out
    if there_s < LONGEST_RETENTION_S:
        yield Risk(
            f"{there_s / _DAY_S:.3g} days",
            f"a dead letter of the queue {queue!r}: that time counts from its first publish, not from its death",
            f"Set the MessageRetentionPeriod of {target!r} to {LONGEST_RETENTION_S}.",
        )
