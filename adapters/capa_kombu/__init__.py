"""`kombu`, served by Capa.

    from capa_kombu import Connection, Exchange, Queue

Exchanges, queues, producers, consumers, pools, mixins and serialisers are the installed original's own; a connection
made here sends and receives by the components that capa.toml names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capa_core import shims as _shims
from capa_kombu._sdk import SDK as _SDK

try:
    import kombu as _original
except ModuleNotFoundError as error:
    raise _shims.missing_original(_SDK, error) from error
if (_unsupported := _shims.unsupported_original(_SDK)) is not None:
    raise _unsupported
from kombu import (
    Consumer,
    Exchange,
    Message,
    Producer,
    Queue,
    binding,
    connections,
    disable_insecure_serializers,
    enable_insecure_serializers,
    eventloop,
    parse_url,
    producers,
    uuid,
)

from capa_kombu._connection import Connection

BrokerConnection = Connection

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


VERSION = _original.VERSION
__version__ = _original.__version__

__all__ = [
    "BrokerConnection",
    "Connection",
    "Consumer",
    "Exchange",
    "Message",
    "Producer",
    "Queue",
    "binding",
    "connections",
    "disable_insecure_serializers",
    "enable_insecure_serializers",
    "eventloop",
    "parse_url",
    "producers",
    "uuid",
]

_shims.mirror(__name__, _original)
