"""Connections to a broker: a thread of its own reads and writes each, so that no handler holds up its heartbeats.

any thread ──work──▶ the connection's thread ◀──frames──▶ broker
           ◀─answer─
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import suppress
from typing import Any, cast

import pika
from pika import exceptions
from pika.adapters.select_connection import IOLoop, SelectConnection

from capa_core.components.rabbitmq._errors import on_silence
from capa_core.errors import DeadlineError
from capa_core.supervision import LoggedThread

_THREAD = "capa-rabbitmq-"
_log = logging.getLogger("capa.rabbitmq")


def _hide_what_is_raised(record: logging.LogRecord) -> bool:
    """Drop pika's records about connections of this module, whose errors are raised: seven of them for each."""
    return not (record.threadName or "").startswith(_THREAD)


for _name in list(logging.root.manager.loggerDict):
    if _name.startswith("pika."):
        logging.getLogger(_name).addFilter(_hide_what_is_raised)


class Connection:
    """One connection, for one life: after it is lost, each call raises, and its owner opens another.

    Args:
        hosts: The options for each host, tried in turn.
        limit_s: Seconds that one call may take.

    Attributes:
        lost: The reason, once the connection has ended.
        server: The broker's own description; empty before it is open.
        host: The options for the host that is, or was, tried last.
    """

    def __init__(self, purpose: str, hosts: Sequence[pika.ConnectionParameters], limit_s: float) -> None:
        self.lost: Exception | None = None
        self.server: dict[str, Any] = {}
        self._hosts = list(hosts)
        self.host = self._hosts[0]
        self._limit_s = limit_s
        self._blocked = ""
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._loop = IOLoop()
        self._connection: SelectConnection | None = None
        self._opened: Future[None] = Future()
        self._thread = LoggedThread(f"{_THREAD}{purpose}", self._run)

    def open(self) -> None:
        """Connect to the first host that answers.

        Raises:
            exceptions.AMQPError: None answers in time, or the broker refuses the credentials or the virtual host.
        """
        self._thread.start()
        try:
            self._await(self._opened)
        except BaseException as error:
            self.close()
            if isinstance(error, DeadlineError):
                raise on_silence(self.host, self._limit_s) from None
            raise

    def channel(self) -> Channel:
        """Open a channel."""
        channel = Channel(self)
        channel.impl = self.ask(lambda answer: self._open_channel(channel, answer))
        return channel

    def ask(self, work: Callable[[Future[Any]], object]) -> Any:
        """Call *work* in the connection's thread, and return what it, or a later event there, sets as the answer.

        Raises:
            exceptions.AMQPError: The connection is lost, or the broker refused.
            DeadlineError: There was no answer in time. The work may have been done.
        """
        answer: Future[Any] = Future()
        with self._lock:
            if self.lost is not None:
                raise self.lost
            self._waiting.add(answer)
        try:
            self._loop.add_callback_threadsafe(lambda: _attempt(work, answer))
            return self._await(answer)
        finally:
            self._waiting.discard(answer)

    def tell(self, work: Callable[[], object]) -> None:
        """Call *work* soon in the connection's thread, without an answer; not at all once the connection is lost."""
        if self.lost is None:
            self._loop.add_callback_threadsafe(lambda: self._guarded(work))

    def later(self, seconds: float, work: Callable[[], object]) -> None:
        """Call *work* after *seconds*. For the connection's thread alone."""
        self._loop.call_later(seconds, lambda: self._guarded(work))

    def close(self) -> None:
        """Close the connection once what was sent before has gone, and end its thread."""
        if self.lost is None:
            self._loop.add_callback_threadsafe(self._begin_to_close)
        if threading.current_thread() is not self._thread and self._thread.ident is not None:
            self._thread.join(self._limit_s)

    def _await(self, answer: Future[Any]) -> Any:
        try:
            return answer.result(self._limit_s)
        except NotInTimeError:
            blocked = f" RabbitMQ takes no messages at the moment: {self._blocked}." if self._blocked else ""
            raise DeadlineError(f"RabbitMQ did not answer within {self._limit_s:g} s.{blocked}") from None

    # --- in the connection's thread

    def _run(self) -> None:
        """Drive the connection until it ends. Whatever ends it, all who wait for an answer are told."""
        reason = _closed()
        try:
            self._connect()
            self._loop.start()
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            # Of one that is being given up, pika fails while it cleans up: that tells nobody anything.
            reason = self.lost or _raisable(error)
        finally:
            self._end(self.lost or reason)
            self._loop.close()

    def _guarded(self, work: Callable[[], object]) -> None:
        """Call *work*; if it fails, end the connection in the way that closes its socket."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            self._end(_raisable(error))
            self._begin_to_close()

    def _connect(self) -> None:
        self.host = self._hosts.pop(0)
        self._connection = SelectConnection(
            self.host,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_open_error,
            on_close_callback=lambda _, reason: self._stop(reason),
            custom_ioloop=self._loop,
        )

    def _on_open(self, connection: Any) -> None:
        self.server = dict(connection.server_properties)
        connection.add_on_connection_blocked_callback(lambda _, frame: self._set_blocked(frame.method.reason))
        connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(""))
        self._opened.set_result(None)

    def _on_open_error(self, _: Any, error: Any) -> None:
        if self._hosts and self.lost is None:
            self._connect()
        else:
            self._stop(_described(error, self.host))

    def _set_blocked(self, reason: str) -> None:
        self._blocked = reason

    def _begin_to_close(self) -> None:
        """Have pika close the connection, also one that is still opening: its socket would stay open."""
        connection = self._connection
        if connection is None or connection.is_closed:
            self._stop(_closed())
        elif not connection.is_closing:
            if not connection.is_open:
                self._end(_closed())  # or the next host is tried
            connection.close()

    def _stop(self, reason: Exception) -> None:
        self._end(reason)
        self._loop.stop()

    def _end(self, reason: Exception) -> None:
        with self._lock:
            self.lost = self.lost or reason
            waiting, self._waiting = self._waiting, set()
        for answer in (self._opened, *waiting):
            _fail(answer, reason)

    def _open_channel(self, channel: Channel, answer: Future[Any]) -> None:
        connection = cast("SelectConnection", self._connection)
        impl = connection.channel(on_open_callback=lambda opened: _answer(answer, opened))
        impl.add_on_close_callback(lambda _, reason: channel.end(reason))


class Channel:
    """A channel. The broker closes it when it refuses a call; `lost` has the reason, and its owner opens another."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.impl: Any = None
        self.closed: Exception | None = None
        self._waiting: set[Future[Any]] = set()

    @property
    def lost(self) -> Exception | None:
        """The reason for which it is closed; `None` while it is open."""
        return self.closed or self.connection.lost

    def call(self, method: str, **arguments: Any) -> Any:
        """Call *method* of pika's channel, and return the broker's answer.

        Raises:
            exceptions.AMQPError: The channel or the connection is lost, or the broker refused.
            DeadlineError: There was no answer in time.
        """
        return self.ask(
            lambda answer: getattr(self.impl, method)(
                callback=lambda frame: _answer(answer, frame), **arguments
            )
        )

    def ask(self, work: Callable[[Future[Any]], object]) -> Any:
        """Call *work* as `Connection.ask` does; the closing of this channel is an answer too."""

        def start(answer: Future[Any]) -> None:
            if self.closed is not None:
                raise self.closed
            self._waiting.add(answer)
            answer.add_done_callback(self._waiting.discard)
            work(answer)

        return self.connection.ask(start)

    def begin(self, work: Callable[[Future[Any]], object], answer: Future[Any]) -> None:
        """Call *work* soon, as `ask` does, for a caller that does not wait: *answer* is set later, or fails."""

        def start() -> None:
            self._waiting.add(answer)
            answer.add_done_callback(self._waiting.discard)
            _attempt(work, answer)

        if self.lost is not None:
            answer.set_exception(self.lost)
        else:
            self.connection.tell(start)

    def close(self) -> None:
        """Close it; nothing that was sent before is lost."""

        def close() -> None:
            if self.impl.is_open:
                self.impl.close()

        self.connection.tell(close)

    def end_now(self) -> None:
        """Close it as `close` does, and return when the broker has taken note.

        Raises:
            DeadlineError: There was no answer in time.
        """
        with suppress(exceptions.AMQPError):  # the end itself, or an earlier one
            self.ask(lambda _: self.impl.close())

    def end(self, reason: Exception) -> None:
        """Note that it is closed; the first reason stays. For the connection's thread alone."""
        self.closed = self.closed or reason
        for answer in list(self._waiting):
            _fail(answer, reason)


def _closed() -> Exception:
    return cast("Exception", exceptions.ConnectionClosedByClient(200, "the connection was closed"))


def _raisable(error: Exception) -> Exception:
    """Return what those who wait raise for *error*; log it if it is none of AMQP's, but a fault of a program."""
    if isinstance(error, exceptions.AMQPError):
        return cast("Exception", error)
    _log.error("The thread of a connection to RabbitMQ failed. The next call opens another.", exc_info=error)
    reason: Exception = exceptions.AMQPConnectionError(f"its thread failed: {type(error).__name__}: {error}")
    reason.__cause__ = error
    return reason


def _described(error: Any, host: pika.ConnectionParameters) -> Exception:
    """Return *error* with a text: pika's own is empty, and holds the errors that led to it."""
    causes = [error]
    while held := _held_by(causes[-1]):
        causes.append(held)
    described = exceptions.AMQPConnectionError(f"no connection to {host.host}:{host.port}: {causes[-1]}")
    return cast("Exception", causes[-1] if isinstance(causes[-1], exceptions.AMQPError) else described)


def _held_by(error: Any) -> Exception | None:
    """Return the error that one of pika's errors on connecting holds, the last one if it holds several."""
    inner = (
        *getattr(error, "args", ()),
        *getattr(error, "exceptions", ()),
        getattr(error, "exception", None),
    )
    return next((each for each in reversed(inner) if isinstance(each, Exception)), None)


def _attempt(work: Callable[[Future[Any]], object], answer: Future[Any]) -> None:
    try:
        work(answer)
    except Exception as error:  # noqa: BLE001 - the one who waits raises it
        _fail(answer, error)


def _answer(answer: Future[Any], value: Any) -> None:
    if not answer.done():
        answer.set_result(value)


def _fail(answer: Future[Any], reason: Exception) -> None:
    if not answer.done():
        answer.set_exception(reason)
