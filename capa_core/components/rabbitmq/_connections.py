"""The two connections of a component: one to publish, and one to consume.

A broker that runs out of memory or disk stops reading from those who publish. Acknowledgements must go on.
"""

from __future__ import annotations

import threading

from pika import exceptions

from capa_core.components.rabbitmq._connection import Connection
from capa_core.components.rabbitmq._errors import check_version, on_opening, text
from capa_core.components.rabbitmq._settings import RabbitSettings
from capa_core.errors import ClosedError


class Connections:
    """Opens each connection when it is first needed, and again when it was lost."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings
        self._opening = threading.Lock()
        self._open: dict[str, Connection] = {}
        self._closed = False

    def publishing(self) -> Connection:
        """Return the connection to publish and to declare with."""
        return self._connection("publish")

    def consuming(self) -> Connection:
        """Return the connection to consume with."""
        return self._connection("consume")

    def about(self) -> str:
        """Return one line about the broker."""
        server = self.publishing().server
        return f"{text(server.get('product'))} {text(server.get('version'))} at {self._address()}"

    def close(self) -> None:
        """Close both."""
        with self._opening:
            self._closed = True
            open_ones, self._open = list(self._open.values()), {}
        for connection in open_ones:
            connection.close()

    def _connection(self, purpose: str) -> Connection:
        connection = self._open.get(purpose)
        if connection is not None and connection.lost is None:
            return connection
        with self._opening:
            return self._opened(purpose)

    def _opened(self, purpose: str) -> Connection:
        if self._closed:
            raise ClosedError("the component is closed")
        connection = self._open.get(purpose)
        if connection is None or connection.lost is not None:
            connection = self._open[purpose] = self._to_the_first(purpose)
        return connection

    def _to_the_first(self, purpose: str) -> Connection:
        """Return an open connection to the first host that answers."""
        hosts = self._settings.parameters()
        connection = Connection(purpose, hosts, self._settings.timeout_s)
        try:
            connection.open()
        except exceptions.AMQPError as error:
            raise on_opening(error, connection.host) from error
        try:
            check_version(connection.server, self._address())
        except BaseException:
            connection.close()
            raise
        return connection

    def _address(self) -> str:
        first = self._settings.parameters()[0]
        return f"{first.host}:{first.port}/{first.virtual_host.strip('/')}"
