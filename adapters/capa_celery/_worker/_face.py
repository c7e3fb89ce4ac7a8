"""The consumer as Celery's control commands see it, and those of applications."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kombu import Queue

if TYPE_CHECKING:
    from capa_celery._worker._consumer import Consumer


class TaskConsumer:
    """The queues that the worker consumes, in place of kombu's consumer."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    @property
    def queues(self) -> list[Queue]:
        """The queues that it consumes now."""
        return self._consumer.queues

    def consuming_from(self, queue: Queue | str) -> bool:
        """Return whether it consumes a queue."""
        name = queue.name if isinstance(queue, Queue) else queue
        return any(name == each.name for each in self.queues)


class ConsumerForCommands:
    """The part of Celery's consumer that control commands call: `state.consumer` of a command."""

    gossip = None

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._changing = threading.Lock()
        self.app = consumer.app
        self.controller = consumer.controller
        self.hostname = consumer.hostname
        self.timer = consumer.timer
        self.task_consumer = TaskConsumer(consumer)

    @property
    def pool(self) -> Any:
        """The pool: `grow`, `shrink` and `terminate_job`, where it can."""
        return self._consumer.served_pool

    @property
    def event_dispatcher(self) -> Any:
        """The dispatcher of the worker's events; `None` without them."""
        return self._consumer.event_dispatcher

    def reset_rate_limits(self) -> None:
        """Apply the rate limits that the tasks have now."""
        self._consumer.reset_rate_limits()

    def call_soon(self, function: Callable[..., object], *args: Any, **options: Any) -> None:
        """Call now: an error is the answer of the command."""
        function(*args, **options)

    def add_task_queue(
        self,
        queue: str,
        exchange: str | None = None,
        exchange_type: str | None = None,
        routing_key: str | None = None,
        **options: Any,
    ) -> None:
        """Consume one more queue; nothing happens if it is consumed."""
        queues = self.app.amqp.queues
        with self._changing:
            if queue in queues:
                added = queues.select_add(queues[queue])
            else:
                exchange = queue if exchange is None else exchange
                added = queues.select_add(
                    queue,
                    exchange=exchange,
                    exchange_type=exchange_type or "direct",
                    routing_key=routing_key,
                    **options,
                )
            if not self.task_consumer.consuming_from(queue):
                self._consumer.add_queue(added)

    def cancel_task_queue(self, queue: str) -> None:
        """Consume a queue no more; its tasks that run go on, and those that wait here go back."""
        queues = self.app.amqp.queues
        with self._changing:
            queues.deselect(queue)
            self._consumer.cancel_queue(queues.aliases.get(queue, queue))

    def _update_prefetch_count(self, _more: int) -> None:
        self._consumer.resized(self.pool.num_processes)
