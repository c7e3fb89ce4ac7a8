"""Run one task message in this process: Celery's tracer runs the task, this module the steps before and after it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback
from celery import signals
from celery.app import trace
from celery.exceptions import (
    InvalidTaskError,
    NotRegistered,
    Reject,
    SoftTimeLimitExceeded,
    WorkerLostError,
    WorkerTerminate,
)
from celery.utils.time import maybe_iso8601, maybe_make_aware
from celery.worker import state as worker_state
from celery.worker.request import Request
from celery.worker.strategy import proto1_to_proto2
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.serialization import prepare_accept_content

from capa_celery import _codec
from capa_celery._errors import Outage, is_in_a_worker
from capa_core.errors import CapaError

if TYPE_CHECKING:
    from capa_celery import Celery

received_logger = logging.getLogger("celery.worker.strategy")
logger = logging.getLogger("celery.capa.worker")

SETTLE_AGAIN_S = 5.0
EARLY_S = 0.5
"""A task that comes this much before its ETA is run: clocks differ by that much anyway."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one delivery of a message: removed, or, with *again*, delivered again after *delay_s*.

    Attributes:
        reason: The cause of another delivery, if something failed; its dead letter has it if there are too many.
    """

    again: bool = False
    delay_s: float = 0.0
    reason: str = ""


DONE = Outcome()
AGAIN = Outcome(again=True)


def again_after(error: BaseException, delay_s: float = 0.0) -> Outcome:
    """Return the outcome of a delivery that *error* ended, which Celery may have wrapped."""
    if isinstance(error, ExceptionWithTraceback):
        error = error.exc
    return Outcome(again=True, delay_s=delay_s, reason=f"{type(error).__name__}: {error}")


@dataclass(slots=True)
class Arrival:
    """A task message as it came from its queue."""

    data: bytes
    queue: str
    redelivered: bool


@signals.task_internal_error.connect  # type: ignore[untyped-decorator] # celery is not typed
def _break_off_when_a_component_is_away(
    exception: BaseException, request: dict[str, Any] | None = None, **_: Any
) -> None:
    # The tracer would now mark the task as failed, although its body has run, or could still run, without fault;
    # and acknowledge it, although a chord may wait for it.
    if is_in_a_worker(request) and isinstance(exception, CapaError) and exception.retryable:
        raise Outage(str(exception)) from exception


class TaskMessage:
    """The message for Celery's request and signals: the part of kombu's message that has a meaning here."""

    def __init__(self, envelope: _codec.Envelope, payload: Any, arrival: Arrival) -> None:
        self.headers = envelope.headers
        self.properties = envelope.properties
        self.body = envelope.body
        self.payload = payload
        self.content_type = envelope.content_type
        self.content_encoding = envelope.content_encoding
        self.delivery_info = delivery_info(envelope, arrival)


def delivery_info(envelope: _codec.Envelope, arrival: Arrival) -> dict[str, Any]:
    """Return the origin of the message, as `task.request.delivery_info` shows it."""
    sent = envelope.properties.get("delivery_info") or {}
    return {
        "exchange": sent.get("exchange", ""),
        "routing_key": sent.get("routing_key", arrival.queue),
        "priority": envelope.properties.get("priority"),
        "redelivered": arrival.redelivered,
    }


class Execution:
    """An executor of task messages for one worker in one process. Safe for many threads.

    Args:
        hostname: The worker's node name.
        sender: The sender of signals.
        on_begin: Called with the task and its message's headers just before it runs.
    """

    def __init__(
        self,
        app: Celery,
        hostname: str,
        *,
        sender: object = None,
        on_begin: Callable[[Any, dict[str, Any]], None] | None = None,
    ) -> None:
        self._app = app
        self._hostname = hostname
        self._sender = sender
        self._on_begin = on_begin
        self._tasks = app.tasks
        self._early_acks = app.capa.settings.early_acks
        self._accept = prepare_accept_content(app.conf.accept_content)
        build_tracers(app, hostname)

    def run(self, arrival: Arrival, acknowledge: Callable[[], None]) -> Outcome:
        """Run the task and return the outcome of its message. Celery handles the errors of the task.

        Args:
            acknowledge: Called before the task begins if the application wants its message gone by then.

        Raises:
            SoftTimeLimitExceeded: (celery's) The signal came when the task had ended already.
            WorkerTerminate: (celery's) The worker must end at once.
        """
        try:
            envelope = _codec.decode(arrival.data)
            args, kwargs, embed = self._payload(envelope)
        except (ValueError, TypeError, DecodeError, ContentDisallowed, InvalidTaskError) as error:
            logger.critical("Can't decode message body: %r: %.200r", error, arrival.data, exc_info=True)
            return DONE
        headers = envelope.headers
        task = self._tasks.get(headers["task"])
        if task is None:
            return self._unknown(envelope, arrival, (args, kwargs, embed))
        if task.__trace__ is None:  # registered since the worker started, as tests do
            build_tracer(self._app, task, self._hostname)
        wait_s = self._too_early(headers)
        if wait_s:
            return Outcome(again=True, delay_s=wait_s)
        self._log_received(headers)
        if self._refused(envelope, arrival, task, (args, kwargs, embed)):
            return DONE
        if self._early_acks and not task.acks_late:
            acknowledge()
        if self._on_begin is not None:
            self._on_begin(task, headers)
        try:
            return self._trace(envelope, arrival, task, (args, kwargs, embed))
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            # Not the task's: Celery handles those. The store may be away, so that nothing could be marked.
            logger.exception("Task %s could not be settled, it will run again", headers.get("id"))
            return again_after(error, SETTLE_AGAIN_S)

    def revoked(self, arrival: Arrival) -> bool:
        """Return whether the task was revoked; it is marked so then. For pools that do not run it in this process."""
        if not worker_state.revoked:
            return False
        try:
            request = self.request(arrival, lambda _outcome: None)
        except (LookupError, ValueError):
            return False
        return bool(request.id in worker_state.revoked and request.revoked())

    def request(self, arrival: Arrival, settle: Callable[[Outcome], None]) -> Any:
        """Return Celery's own `Request` for a message, for events of a task outside its process.

        Args:
            settle: Called with the outcome of the message that Celery decides.

        Raises:
            LookupError: The task is not registered.
        """
        envelope = _codec.decode(arrival.data)
        payload = self._payload(envelope)
        return self._request(envelope, arrival, self._tasks[envelope.headers["task"]], payload, settle)

    def _payload(self, envelope: _codec.Envelope) -> Any:
        body = _codec.unpack_body(envelope, self._accept)
        if "task" not in envelope.headers:  # protocol 1 has all in the body
            message = TaskMessage(envelope, body, Arrival(b"", "", redelivered=False))
            body, envelope.headers, _, _ = proto1_to_proto2(message, body)
        return body

    def _trace(self, envelope: _codec.Envelope, arrival: Arrival, task: Any, payload: Any) -> Outcome:
        headers, properties = envelope.headers, envelope.properties
        args, kwargs, embed = payload
        request = {
            **headers,
            "properties": properties,
            "reply_to": properties.get("reply_to"),
            "correlation_id": properties.get("correlation_id"),
            "delivery_info": delivery_info(envelope, arrival),
            "hostname": self._hostname,
            "is_eager": False,
            "args": args,
            "kwargs": kwargs,
            **(embed or {}),
        }
        try:
            result, info, runtime, _ = task.__trace__(headers["id"], args, kwargs, request)
        except WorkerTerminate:
            raise
        except Outage as outage:
            logger.warning("Task %s could not be settled, it will run again: %s", headers["id"], outage)
            return again_after(outage.__cause__ or outage, SETTLE_AGAIN_S)
        except Reject as error:
            return again_after(error) if error.requeue else DONE
        except BaseException as error:  # noqa: BLE001 - `sys.exit()` in a task ends the task, not the worker
            result, info, runtime = _lost(repr(error)), True, 0.0
        if info is None:
            return DONE
        outcomes: list[Outcome] = []
        self._request(envelope, arrival, task, payload, outcomes.append).on_success((1, result, runtime))
        outcome = outcomes[0] if outcomes else DONE
        return again_after(result.exception) if outcome.again else outcome

    def _request(
        self,
        envelope: _codec.Envelope,
        arrival: Arrival,
        task: Any,
        payload: Any,
        settle: Callable[[Outcome], None],
    ) -> Any:
        def reject(_logger: object, _errors: object, requeue: bool = False) -> None:
            settle(AGAIN if requeue else DONE)

        return Request(
            TaskMessage(envelope, payload, arrival),
            on_ack=lambda _logger, _errors: settle(DONE),
            on_reject=reject,
            hostname=self._hostname,
            app=self._app,
            task=task,
            body=payload,
            headers=envelope.headers,
            decoded=True,
        )

    def _refused(self, envelope: _codec.Envelope, arrival: Arrival, task: Any, payload: Any) -> bool:
        """Send the signal for a received task, and return whether it is expired or revoked: Celery marks it then."""
        headers = envelope.headers
        may_be_refused = (
            headers.get("expires")
            or headers.get("id") in worker_state.revoked
            or (headers.get("stamped_headers") and worker_state.revoked_stamps)
        )
        if not may_be_refused and not signals.task_received.receivers:
            return False
        request = self._request(envelope, arrival, task, payload, lambda _outcome: None)
        if may_be_refused and request.revoked():
            return True
        signals.task_received.send(sender=self._sender, request=request)
        return False

    def _too_early(self, headers: dict[str, Any]) -> float:
        """Return for how long the task must wait, for engines that deliver before the whole delay has passed."""
        eta = headers.get("eta")
        if not eta:
            return 0.0
        when = maybe_make_aware(maybe_iso8601(eta), self._app.conf.timezone)
        wait_s: float = when.timestamp() - time.time()
        return wait_s if wait_s > EARLY_S else 0.0

    def _unknown(self, envelope: _codec.Envelope, arrival: Arrival, payload: Any) -> Outcome:
        name, task_id = envelope.headers["task"], envelope.headers.get("id")
        error = NotRegistered(name)
        logger.error(
            "Received unregistered task of type %s. The message has been ignored and discarded. "
            "Did you remember to import the module containing this task?",
            error,
        )
        self._app.backend.mark_as_failure(task_id, error, request=None)
        signals.task_unknown.send(
            sender=self._sender,
            message=TaskMessage(envelope, payload, arrival),
            exc=error,
            name=name,
            id=task_id,
        )
        return DONE

    def _log_received(self, headers: dict[str, Any]) -> None:
        if received_logger.isEnabledFor(logging.INFO):
            context = {
                "id": headers.get("id"),
                "name": headers.get("shadow") or headers["task"],
                "args": headers.get("argsrepr", ""),
                "kwargs": headers.get("kwargsrepr", ""),
                "eta": headers.get("eta"),
            }
            received_logger.info(trace.LOG_RECEIVED, context, extra={"data": context})


def worker_lost(status: str) -> Any:
    """Return the failure that Celery's request expects for a task whose process ended."""
    return _lost(f"Worker exited prematurely: {status}.")


def _lost(message: str) -> Any:
    try:
        raise WorkerLostError(message)  # noqa: TRY301 - Celery wants it with a traceback
    except WorkerLostError:
        return ExceptionInfo()


def build_tracers(app: Celery, hostname: str) -> None:
    """Give each task its tracer."""
    for task in app.tasks.values():
        build_tracer(app, task, hostname)


def build_tracer(app: Celery, task: Any, hostname: str) -> None:
    """Give a task its tracer. It is looked up late, because monitoring libraries replace it."""
    function = task.run
    if inspect.iscoroutinefunction(function):
        task.run = run_to_end(function)
    task.__trace__ = trace.build_tracer(task.name, task, app.loader, hostname, app=app)


class _ThreadRunner:
    """An event loop that is closed when its thread ends, as the thread's local values are released."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self.run = self._runner.run

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self._runner.close()


_runners = threading.local()


def run_to_end(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a plain function that runs the coroutine of *function* on this thread's own event loop.

    The loop stays open between tasks, so that objects that are bound to it, such as a pool of connections, stay usable.
    """

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        runner = getattr(_runners, "runner", None)
        if runner is None:
            runner = _runners.runner = _ThreadRunner()
        return runner.run(function(*args, **kwargs))

    return run
