"""Remote control: Celery's own, over the broadcasts of `_transport`; revocations are kept for later workers too."""

from __future__ import annotations

from typing import Any

from celery.app.control import Control as CeleryControl

from capa_celery._revoked import revoke


class Control(CeleryControl):  # type: ignore[misc] # celery is not typed
    """Commands to workers and questions to them."""

    def revoke(self, task_id: Any, destination: Any = None, terminate: bool = False, **options: Any) -> Any:
        """Revoke a task, or a list of tasks: workers skip those that have not begun, those that start later too.

        The arguments are those of Celery's own. With *destination*, only these workers know of it.
        """
        if not destination:
            revoke(self.app.capa.state, [task_id] if isinstance(task_id, str) else list(task_id))
        return super().revoke(task_id, destination=destination, terminate=terminate, **options)

    def purge(self, connection: Any = None) -> int:
        """Remove all waiting tasks of the queues this application consumes, and return how many there were."""
        if self.app.capa.is_mixed:
            return int(super().purge(connection))
        queues = self.app.amqp.queues.consume_from
        return sum(self.app.capa.pubsub.purge(name) for name in queues)

    discard_all = purge
