"""The transport of kombu over pub/sub, for the connections of this adapter and of those whose original needs kombu."""

from capa_kombu.over_pubsub._channel import GROUP, Channel
from capa_kombu.over_pubsub._envelope import dumps
from capa_kombu.over_pubsub._errors import refusals_as_channel_errors
from capa_kombu.over_pubsub._priorities import engine_priority
from capa_kombu.over_pubsub._routing import key_matches
from capa_kombu.over_pubsub._topology import Exchange, Topology
from capa_kombu.over_pubsub._transport import OWN_SCHEME, NamedTransport, Transport

__all__ = [
    "GROUP",
    "OWN_SCHEME",
    "Channel",
    "Exchange",
    "NamedTransport",
    "Topology",
    "Transport",
    "dumps",
    "engine_priority",
    "key_matches",
    "refusals_as_channel_errors",
]
