"""Risks of a RabbitMQ broker, by its version, its queues and the policies that match them."""

from __future__ import annotations

from collections.abc import Iterator

from capa_core.components.rabbitmq import _policies
from capa_core.components.rabbitmq._errors import version_of
from capa_core.components.rabbitmq._settings import RabbitSettings
from capa_core.components.rabbitmq._topology import Topology
from capa_core.driver import Risk

_LATE_LIST = Risk(
    "a kill of the broker, or a power cut, within minutes after the first use of a topic or a group",
    "that queue with its messages, as this version writes the list of its queues to the disk late",
    "Stop and start the broker in order once after the first start of an application, or use RabbitMQ 4 with Khepri.",
)
_LIMIT = Risk(
    "the 20th lost lease of a message",
    "that message, as this version drops it unless a policy says otherwise",
    "Set the policy `delivery-limit` to -1, and `max_deliveries` here, which keeps dead letters.",
)
_UNKNOWN = Risk(
    "a policy with `message-ttl`, `max-length`, `expires` or `delivery-limit`, of which no client is told,",
    "messages of the queues that it matches",
    "Set `management_url` here, so that it is looked at.",
)


def risks(server: dict[str, object], topology: Topology, settings: RabbitSettings) -> Iterator[Risk]:
    """Yield the risks of the broker with the description *server*, and of the queues of its topics.

    Raises as `_policies.risks` does.
    """
    yield _LATE_LIST if version_of(server) < (4, 0) else _LIMIT
    for topic in sorted(topology.topics()):
        names = topology.names(topic)
        groups, _ = topology.listed(names)
        for queue in (names.kept, *sorted(groups)):
            if difference := topology.difference(queue):
                yield Risk(
                    "a kill of the broker, or the end of a node,",
                    f"the messages of the queue {queue!r}, which is no quorum queue ({difference})",
                    "Delete the queue once it is empty: the next start of the application makes it anew.",
                )
    if settings.management_url:
        yield from _policies.risks(settings)
    else:
        yield _UNKNOWN
