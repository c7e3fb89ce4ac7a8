"""Run one task message in this process: Celery's tracer runs the task, this module the steps before and after it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from billiard.einfo import ExceptionInfo
from celery import signals, states
from celery.app import trace
from celery.exceptions import (
    NotRegistered,
    Reject,
    SoftTimeLimitExceeded,
    WorkerTerminate,
)
from celery.utils.time import maybe_iso8601, maybe_make_aware
from celery.worker import state as worker_state
from celery.worker.request import Request
from celery.worker.strategy import proto1_to_proto2
from kombu.serialization import prepare_accept_content

from capa_celery import _codec
from capa_celery._errors import Outage, is_in_a_worker
from capa_celery._worker._checks import check_task_message
from capa_celery._worker._events import TaskEvents
from capa_celery._worker._losses import Losses
from capa_celery._worker._outcomes import (
    AGAIN,
    DONE,
    SETTLE_AGAIN_S,
    Arrival,
    Outcome,
    again_after,
    dead_letter,
    lost,
    unwrapped,
)
from capa_celery._worker._tracers import build_tracer, build_tracers
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError
from capa_core.supervision import end_forked_child

if TYPE_CHECKING:
    from capa_celery import Celery

received_logger = named_logger("celery.worker.strategy")
logger = named_logger("celery.capa.worker")

LEAVING = (SystemExit, KeyboardInterrupt)
LONGEST_WAIT_S = 86_400.0
"""A task that comes earlier than that before its ETA is rejected once a day, or as often as the engine needs."""
EARLY_S = 0.5
"""A task that comes this much before its ETA is run: clocks differ by that much anyway."""


@signals.task_internal_error.connect  # type: ignore[untyped-decorator] # celery is not typed
def _break_off_when_a_component_is_away(
    exception: BaseException, sender: Any = None, request: dict[str, Any] | None = None, **_: Any
) -> None:
    # The tracer would now mark the task as failed, although its body has run, or could still run, without fault;
    # and acknowledge it, although a chord may wait for it.
    if is_in_a_worker(request) and _is_away(sender, exception):
        raise Outage(str(exception)) from exception


def _is_away(task: Any, error: BaseException) -> bool:
    """Return whether *error*, which Celery's steps around *task* raised, is that of a component that may come back."""
    if isinstance(error, CapaError):
        return error.retryable
    components = getattr(getattr(task, "app", None), "capa", None)
    return bool(components and components.is_mixed and isinstance(error, components.passing_errors))


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
        sender: The sender of signals: the worker's consumer, as with Celery.
        events: The sender of events of tasks; may be changed.
        on_begin: Called with the task and its message's headers just before it runs.
    """

    def __init__(
        self,
        app: Celery,
        hostname: str,
        *,
        sender: object = None,
        on_begin: Callable[[Any, dict[str, Any]], None] | None = None,
        events: TaskEvents | None = None,
    ) -> None:
        self._app = app
        self._hostname = hostname
        self._sender = sender
        self._on_begin = on_begin
        self.events = events
        self._tasks = app.tasks
        self._early_acks = app.capa.settings.early_acks
        self._accept = prepare_accept_content(app.conf.accept_content)
        self._passing_errors: tuple[type[Exception], ...] = (OSError, *app.capa.passing_errors)
        self._losses = Losses(lambda: app.capa.state, app.capa.settings.max_worker_losses)
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
            return self._losses.guard(
                arrival,
                lambda: self._read_and_run(arrival, acknowledge),
                lambda failure: self._give_up(arrival, failure),
            )
        except CapaError as error:
            logger.warning("a task of %s could not be begun, it will run again: %s", arrival.queue, error)
            return again_after(error, SETTLE_AGAIN_S)

    def lost(self, arrival: Arrival, failure: Any) -> Outcome:
        """Return the outcome of a task whose process was lost: again, unless that was too often.

        Args:
            failure: What Celery's request is told, after the last time.

        Raises:
            UnavailableError: The store did not answer.
        """
        outcome = self._losses.lost(arrival, lambda _failure: self._give_up(arrival, failure))
        if outcome is not None:
            return outcome
        logger.warning("a task of %s took its process down, it will run again", arrival.queue)
        return again_after(failure.exception)

    def broken_off(self, arrival: Arrival) -> None:
        """Take note that the worker itself breaks a task off, which is then no loss of its process."""
        self._losses.outlived(arrival)

    def _give_up(self, arrival: Arrival, failure: Any) -> Outcome:
        """Mark the task as failed, as Celery's request does for a lost process, and return the last outcome."""
        outcomes: list[Outcome] = []
        try:
            request = self.request(arrival, outcomes.append)
        except Exception as error:  # noqa: BLE001 - nobody could run it, nor mark it
            return dead_letter(error)
        request.on_failure(failure)
        if (
            outcomes and outcomes[0].again
        ):  # `reject_on_worker_lost`, by which it would kill processes for ever
            self._mark_as_failed(request, failure)
        elif self._ended_otherwise(request):
            return DONE
        return dead_letter(failure.exception)

    def _ended_otherwise(self, request: Any) -> bool:
        """Return whether the task has succeeded before its process was lost, or Celery has sent it once more."""
        try:
            return self._app.backend.get_state(request.id) in (states.SUCCESS, states.RETRY)
        except NotImplementedError:  # no result backend
            return False

    def _mark_as_failed(self, request: Any, failure: Any) -> None:
        error = unwrapped(failure.exception)
        self._app.backend.mark_as_failure(
            request.id, error, request=request._context, store_result=request.store_errors
        )
        signals.task_failure.send(
            sender=request.task,
            task_id=request.id,
            exception=error,
            args=request.args,
            kwargs=request.kwargs,
            traceback=failure.traceback,
            einfo=failure,
        )

    def _read_and_run(self, arrival: Arrival, acknowledge: Callable[[], None]) -> Outcome:
        try:
            envelope = _codec.decode(arrival.data)
            payload = self._payload(envelope)
        except Exception as error:  # noqa: BLE001 - codecs raise all kinds, and whoever can publish chooses the bytes
            return self._malformed(arrival, error)
        try:
            return self._run(envelope, arrival, payload, acknowledge)
        except SoftTimeLimitExceeded:
            raise
        except self._passing_errors as error:
            # Not the task's: Celery handles those. The store may be away, so that nothing could be marked.
            if getattr(error, "retryable", True):
                logger.exception("Task %s could not be settled, it will run again", envelope.headers["id"])
                return again_after(error, SETTLE_AGAIN_S)
            return self._unsettled(envelope, error)
        except Exception as error:  # noqa: BLE001 - it would fail again each time
            return self._unsettled(envelope, error)

    def _run(
        self, envelope: _codec.Envelope, arrival: Arrival, payload: Any, acknowledge: Callable[[], None]
    ) -> Outcome:
        headers = envelope.headers
        task = self._tasks.get(headers["task"])
        if task is None:
            return self._unknown(envelope, arrival, payload)
        if task.__trace__ is None:  # registered since the worker started, as tests do
            build_tracer(self._app, task, self._hostname)
        wait_s = self._too_early(headers)
        if wait_s:
            return Outcome(again=True, delay_s=wait_s)
        self._log_received(headers)
        if self._refused(envelope, arrival, task, payload):
            return DONE
        events = self._events_of(task)
        if events is not None:
            events.received(headers)
        if self._early_acks and not task.acks_late:
            acknowledge()
        if self._on_begin is not None:
            self._on_begin(task, headers)
        return self._trace(envelope, arrival, task, payload)

    def _malformed(self, arrival: Arrival, error: Exception) -> Outcome:
        outcome = dead_letter(error)
        logger.critical(
            "A message of queue %s is not a task message that this worker can read (%.200s): it was moved to the dead "
            "letters. To look at it: capa queue peek %s --dead",
            arrival.queue,
            outcome.reason,
            arrival.queue,
        )
        return outcome

    def _unsettled(self, envelope: _codec.Envelope, error: Exception) -> Outcome:
        logger.critical(
            "Task %s could not be settled, its message was moved to the dead letters",
            envelope.headers["id"],
            exc_info=error,
        )
        return dead_letter(error)

    def revoked(self, arrival: Arrival) -> bool:
        """Return whether the task was revoked; it is marked so then. For pools that do not run it in this process."""
        if not worker_state.revoked and not worker_state.revoked_stamps:
            return False
        try:
            request = self.request(arrival, lambda _outcome: None)
        except Exception:  # noqa: BLE001 - it is malformed or unknown, as whoever runs it finds out and reports
            return False
        is_meant = request.id in worker_state.revoked or (request.stamps and worker_state.revoked_stamps)
        return bool(is_meant and request.revoked())

    def name_of(self, arrival: Arrival) -> str | None:
        """Return the name of the task to run now; `None` for a message that is malformed, revoked or before its ETA."""
        try:
            envelope = _codec.decode(arrival.data)
            if "task" not in envelope.headers:
                self._payload(envelope)
            headers = envelope.headers
            if headers.get("id") in worker_state.revoked or self._too_early(headers):
                return None
            return str(headers["task"])
        except Exception:  # noqa: BLE001 - whoever runs it finds out and reports
            return None

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
        return check_task_message(envelope.headers, envelope.properties, body)

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
        events = self._events_of(task)
        if events is not None:
            events.started(headers["id"])
        owner = os.getpid()
        try:
            try:
                result, info, runtime, text = task.__trace__(headers["id"], args, kwargs, request)
            finally:
                end_forked_child(owner)
        except WorkerTerminate:
            raise
        except Outage as outage:
            logger.warning("Task %s could not be settled, it will run again: %s", headers["id"], outage)
            return again_after(outage.__cause__ or outage, SETTLE_AGAIN_S)
        except Reject as error:
            return again_after(error) if error.requeue else DONE
        except BaseException as error:  # noqa: BLE001 - `sys.exit()` in a task ends the task, not the worker
            # Celery's tracer leaves these to the pool, where a process that exits is a lost one.
            result = lost(repr(error)) if isinstance(error, LEAVING) else ExceptionInfo()
            return self._settled(
                result,
                lambda settle: self._request(envelope, arrival, task, payload, settle).on_failure(result),
            )
        if info is None:
            if events is not None:
                events.succeeded(headers["id"], text, runtime)
            return DONE
        return self._settled(
            result,
            lambda settle: self._request(envelope, arrival, task, payload, settle).on_success(
                (1, result, runtime)
            ),
        )

    def _events_of(self, task: Any) -> TaskEvents | None:
        """Return what sends the events of *task*, if anybody wants them."""
        events = self.events
        return events if events is not None and events.are_wanted(task) else None

    def _settled(self, result: Any, report: Callable[[Callable[[Outcome], None]], object]) -> Outcome:
        """Return the outcome of the message that Celery decides when the task's failure is reported to it."""
        outcomes: list[Outcome] = []
        report(outcomes.append)
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
            eventer=self.events and self.events.dispatcher,
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
        return min(wait_s, LONGEST_WAIT_S) if wait_s > EARLY_S else 0.0

    def _unknown(self, envelope: _codec.Envelope, arrival: Arrival, payload: Any) -> Outcome:
        name, task_id = envelope.headers["task"], envelope.headers.get("id")
        error = NotRegistered(name)
        logger.error(
            "Received unregistered task of type %s. The message has been ignored and discarded. "
            "Did you remember to import the module containing this task?",
            error,
        )
        self._app.backend.mark_as_failure(task_id, error, request=None)
        if self.events is not None:
            self.events.dispatcher.send("task-failed", uuid=task_id, exception=f"NotRegistered({name!r})")
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
