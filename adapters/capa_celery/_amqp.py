"""`app.amqp`: Celery's queues, routes and messages; what it would publish goes to Capa."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.app import amqp

from capa_celery._sender import Sender
from capa_celery._transport import Connection


class AMQP(amqp.AMQP):  # type: ignore[misc] # celery is not typed
    """`app.amqp` whose `send_task_message` publishes to Capa, and whose connections are Capa's."""

    Connection = Connection
    BrokerConnection = Connection

    @cached_property
    def send_task_message(self) -> Any:
        """The function that publishes a task message; its arguments are those of Celery's own."""
        return Sender(self, self.app.capa)
