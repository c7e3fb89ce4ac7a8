"""Publish messages to topics, and receive them in groups that compete."""

from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._message import Draft, Message, PublishResult
from capa_core.blocks.pubsub._portable import PubSub
from capa_core.blocks.pubsub._subscription import Handler, Subscription
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
)

__all__ = [
    "Consumer",
    "ConsumerDriver",
    "Delivery",
    "Draft",
    "Handler",
    "Message",
    "OutgoingMessage",
    "PubSub",
    "PubSubDriver",
    "PubSubFeature",
    "PublishResult",
    "Subscription",
]
