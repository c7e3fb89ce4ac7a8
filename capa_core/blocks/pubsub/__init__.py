"""Publish and subscribe: messages to topics, received by groups of competing consumers."""

from capa_core.block import Block, Closing
from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._intake import Intake
from capa_core.blocks.pubsub._layouts import in_layout
from capa_core.blocks.pubsub._message import Draft, Message, PublishResult
from capa_core.blocks.pubsub._portable import PubSub
from capa_core.blocks.pubsub._subscription import Handler, Subscription
from capa_core.blocks.pubsub.driver import (
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
)
from capa_core.blocks.pubsub.inspection import (
    DeadLetter,
    GroupStatus,
    MessageState,
    PeekedMessage,
    TopicStatus,
)

__all__ = [
    "BLOCK",
    "Consumer",
    "ConsumerDriver",
    "DeadLetter",
    "Delivery",
    "Draft",
    "GroupStatus",
    "Handler",
    "Intake",
    "Message",
    "MessageState",
    "OutgoingMessage",
    "PeekedMessage",
    "PubSub",
    "PubSubDriver",
    "PubSubFeature",
    "PubSubLimits",
    "PublishResult",
    "Subscription",
    "TopicStatus",
    "in_layout",
]

BLOCK = Block(
    name="pubsub",
    portable=PubSub,
    driver=PubSubDriver,
    features=PubSubFeature,
    embedded="sqlite",
    server="redis",
    closing=Closing.INTAKE,
    face=("Message", "PubSub"),
)
