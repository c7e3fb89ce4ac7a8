"""`app.amqp`: Celery's queues, routes and messages, with publishing through Capa."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery import current_task
from celery.app import amqp
from kombu.exceptions import OperationalError

from capa_celery._errors import Outage, is_in_a_worker, is_outage
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

    def _retry_publish(self, publish: Any, *args: Any, **kwargs: Any) -> Any:
        """Publish the successor of a task, such as the next of a chain; Celery's tracer calls it since 5.7.

        Raises:
            Outage: The broker is away. Celery would mark the task, which has done its work, as failed.
        """
        try:
            return super()._retry_publish(publish, *args, **kwargs)
        except OperationalError as error:
            if is_outage(error) and current_task and is_in_a_worker(current_task.request):
                raise Outage(str(error)) from error
            raise
