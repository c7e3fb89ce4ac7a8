"""Remote control of a worker: one thread receives commands, and Celery's own functions carry them out."""

from __future__ import annotations

import threading
from collections import ChainMap
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from celery.utils.collections import AttributeDict
from celery.worker import control

from capa_celery._sdk import SDK
from capa_celery._threads import WorkerThread
from capa_celery._worker._requests import known_requests
from capa_core.call.loggers import named_logger
from capa_core.shims import details

if TYPE_CHECKING:
    from capa_celery._worker._consumer import Consumer

logger = named_logger("celery.capa.worker")

LOOK_S = 0.5
AGAIN_S = 2.0

REVOKING = frozenset({"revoke", "terminate", "revoke_by_stamped_headers"})
_ABOUT_EVENTS = ("enable_events", "disable_events")
_ABOUT_TASKS = REVOKING | {
    *("query_task", "active", "dump_active", "reserved", "dump_reserved", "scheduled", "dump_schedule")
}


class RemoteControl(WorkerThread):
    """Carries out the commands that the worker receives, one after the other.

    A command that fails is answered with its error, as in Celery. While the broker is away, it tries again; commands
    that were sent meanwhile are missed.

    Args:
        leave: Called with the `SystemExit` by which a command ends the worker.
    """

    def __init__(self, consumer: Consumer, leave: Callable[[SystemExit], object]) -> None:
        self._stopped = threading.Event()
        super().__init__("capa-control", self._serve, stopping=self._stopped.is_set)
        self._consumer = consumer
        self._leave = leave
        state = AttributeDict(
            app=consumer.app, hostname=consumer.hostname, consumer=consumer.for_commands, tset=set
        )
        self._node = consumer.app.control.mailbox.Node(
            consumer.hostname, handlers=ChainMap(self._followed(), _REPLACED, control.Panel.data), state=state
        )

    def stop(self) -> None:
        """End after the command that is carried out now; `join` waits for it."""
        self._stopped.set()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            try:
                self._listen()
            except self._consumer.app.capa.passing_errors as error:
                if self._stopped.is_set():
                    return
                logger.warning("remote control cannot receive commands, trying again: %s", error)
                self._stopped.wait(AGAIN_S)

    def _listen(self) -> None:
        with self._consumer.app.connection_for_read() as connection:
            connection.transport.polling_interval = LOOK_S
            self._node.channel = connection.channel()
            self._node.listen(callback=self._on_message)
            self._consumer.listening.set()
            while not self._stopped.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=LOOK_S)

    def _on_message(self, body: Any, message: Any) -> None:
        self._consumer.app.clock.forward()
        try:
            method = body.get("method")
            with self._known_requests(method):
                self._node.handle_message(body, message)
        except SystemExit as leaving:
            self._leave(leaving)
        except KeyError as error:
            logger.error("no such control command: %s", error)  # noqa: TRY400 - the traceback is of here
        except Exception:  # as in Celery: whoever sends a command must not end this
            logger.exception("a control command could not be carried out: %.500r", body)

    def _followed(self) -> dict[str, Callable[..., Any]]:
        """Return the commands that the consumer or the pool act on too, which they have done before the answer."""
        consumer = self._consumer

        def tell_pool() -> None:
            consumer.served_pool.send_task_events(consumer.sends_task_events)

        following = dict.fromkeys(REVOKING, consumer.reconsider) | dict.fromkeys(_ABOUT_EVENTS, tell_pool)
        return {name: _followed_by(then, control.Panel.data[name]) for name, then in following.items()}

    def _known_requests(self, method: Any) -> Any:
        known = control.Panel.data.get(method)
        if method not in _ABOUT_TASKS and getattr(known, "__module__", None) == control.__name__:
            return nullcontext()
        return known_requests(self._consumer)


def _followed_by(then: Callable[[], object], command: Callable[..., Any]) -> Callable[..., Any]:
    def carry_out(*arguments: Any, **options: Any) -> Any:
        answer = command(*arguments, **options)
        then()
        return answer

    return carry_out


def _time_limit(
    state: Any, task_name: Any = None, hard: float | None = None, soft: float | None = None, **options: Any
) -> Any:
    answer = control.time_limit(state, task_name, hard=hard, soft=soft, **options)
    if "ok" in answer:
        state.consumer.pool.limit(task_name, soft, hard)
    return answer


def _pool_restart(_state: Any, **_: Any) -> Any:
    return control.nok(f"the pool is not restarted: start the worker again. {details(SDK, 'remote-control')}")


def _election(_state: Any, **_: Any) -> Any:
    return control.nok(f"workers of Capa hold no elections. {details(SDK, 'remote-control')}")


_REPLACED = {
    "election": _election,
    "pool_restart": _pool_restart,
    "time_limit": _time_limit,
}
