"""Remote control: `revoke` and `purge`; every other command raises."""

from __future__ import annotations

from typing import Any, NoReturn

from celery.app.control import Control as CeleryControl
from celery.app.control import Inspect as CeleryInspect

from capa_celery._errors import unsupported
from capa_celery._revoked import revoke


class Inspect(CeleryInspect):  # type: ignore[misc] # celery is not typed
    """Inspection of workers, which is not served: each command raises."""

    def _request(self, command: str, **_: Any) -> NoReturn:
        raise _unsupported_command(command)


class Control(CeleryControl):  # type: ignore[misc] # as above
    """Commands to all workers. `revoke` and `purge` are served; others raise rather than reach no worker."""

    Inspect = Inspect

    def broadcast(self, command: str, *_: Any, **__: Any) -> NoReturn:
        """Refuse.

        Raises:
            UnsupportedError: Always.
        """
        raise _unsupported_command(command)

    def revoke(self, task_id: Any, destination: Any = None, terminate: bool = False, **_: Any) -> None:
        """Revoke a task, or a list of tasks: workers skip those that have not begun.

        Raises:
            UnsupportedError: *terminate* is asked for, or only some workers are to know.
        """
        if terminate or destination:
            raise _unsupported_command("revoke with terminate= or destination=")
        revoke(self.app.capa.state, [task_id] if isinstance(task_id, str) else list(task_id))

    def purge(self, connection: Any = None) -> int:  # noqa: ARG002 - Celery's signature
        """Remove all waiting tasks of the queues this application consumes, and return how many there were."""
        queues = self.app.amqp.queues.consume_from
        return sum(self.app.capa.pubsub.purge(name) for name in queues)

    discard_all = purge


def _unsupported_command(command: str) -> Exception:
    return unsupported(
        f"The remote control command {command!r}",
        instead="Inspect queues and results with `capa doctor`, and stop workers with signals.",
        section="remote-control",
    )
