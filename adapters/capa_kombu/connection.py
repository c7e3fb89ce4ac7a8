"""`kombu.connection` with Capa's connection as `Connection`."""

from typing import TYPE_CHECKING, Any

from kombu.connection import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims
from capa_kombu._connection import Connection, ConnectionPool

BrokerConnection = Connection

__all__ = ["Connection", "ConnectionPool", "ChannelPool"]  # noqa: F405, RUF022 - kombu's

if TYPE_CHECKING:  # as in the generated modules

    def __getattr__(name: str) -> Any: ...


_shims.mirror(__name__, "kombu.connection")
