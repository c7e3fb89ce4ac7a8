"""Connections to a NATS server: nats-py is asyncio, so that each has an event loop on a thread of its own.

any thread ──work──▶ the connection's thread ◀──▶ server
           ◀─answer─
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTimeError
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import nats.aio.client
from nats import errors
from nats.aio.msg import Msg

from capa_core.clocks import boot_time
from capa_core.components.nats._errors import (
    NO_TLS,
    JetStreamError,
    RefusedError,
    check_version,
    on_connecting,
)
from capa_core.errors import PermissionDeniedError, UnavailableError
from capa_core.secret import without_credentials
from capa_core.supervision import LoggedThread

_TICK_S = 0.1
_CLOSE_S = 2.0
_MOMENT_S = 0.05
_PATIENCE = (
    1.1  # work in the connection's thread keeps to the limit by itself, and knows better what it waits for
)
_log = logging.getLogger("capa.nats")

T = TypeVar("T")
OnMessage = Callable[[str, Msg], object]


class Client(nats.aio.client.Client):
    """A client of nats-py, with the event loop that it lives on: `asyncio.run_coroutine_threadsafe(…, client.loop)`."""

    loop: asyncio.AbstractEventLoop

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Take what the server says of itself. With `tls` nothing more is sent unless it can be encrypted.

        nats-py begins TLS only where the server requires it, and would send the credentials in the clear elsewhere.

        Raises:
            RefusedError: The server has no TLS.
        """
        if self.options.get("tls") and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise RefusedError(UnavailableError, NO_TLS)
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)


class Connection:
    """One connection, for one life: after it is lost, each call raises, and its owner opens another.

    Args:
        servers: Addresses, tried in turn.
        options: Options of nats-py's `connect`.
        limit_s: Seconds that one call may take. A call without an answer ends the connection: nothing else would tell
            that the server is gone, or does not read.

    Attributes:
        lost: The reason, once the connection has ended.
        client: The client, once it is open. It is for the connection's thread.
        server: The address of the server.
    """

    def __init__(
        self, servers: tuple[str, ...], options: dict[str, Any], limit_s: float, heartbeat_s: float
    ) -> None:
        self.lost: Exception | None = None
        self.client = Client()
        self.server = ""
        self.limit_s = limit_s
        self._servers = servers
        self._options = options | {"ping_interval": heartbeat_s, "max_outstanding_pings": 2}
        self._lock = threading.Lock()
        self._waiting: set[Future[Any]] = set()
        self._opened: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._last_error: BaseException | None = None
        self._tick = 0.0
        self._numbers = count(1)
        self._handlers: dict[str, OnMessage] = {}
        self._asking: dict[asyncio.Future[Msg] | Future[Msg], str] = {}
        self._thread = LoggedThread("capa-nats", self._run)

    @property
    def version(self) -> str:
        """The version that the server tells of itself."""
        return str(self.client._server_info.get("version", "of an unknown version"))

    def open(self) -> None:
        """Connect to the first server that answers.

        Raises:
            RefusedError: None answers, one refuses the credentials, or it is too old.
        """
        self._thread.start()
        try:
            self._result(self._opened, _PATIENCE * self.limit_s)
        except BaseException:
            self.close()
            raise

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], wait_s: float = 0.0) -> T:
        """Return what *work* returns, run in the connection's thread.

        Args:
            wait_s: For how long it waits by itself, beside the time that a call may take.

        Raises:
            errors.Error: The connection is lost, or the server refused.
            errors.TimeoutError: There was no answer in time. The work may have been done.
        """
        return self._begun(lambda answer: self.pass_on(work(), answer), wait_s)

    def exchange(self, send: Callable[[Future[T]], Coroutine[Any, Any, None]], wait_s: float = 0.0) -> T:
        """Return the answer that is set some time after *send* has sent a question; raises as `call` does.

        Quicker than `call`: no task waits for the answer.

        Args:
            wait_s: For how long an answer may be waited for, beside the time that a call may take.
        """

        def start(answer: Future[T]) -> None:
            task = self._loop.create_task(send(answer))
            task.add_done_callback(lambda sent: _fail(answer, sent))

        return self._begun(start, wait_s)

    def close(self) -> None:
        """Close the connection and end its thread, within two seconds."""
        if self._thread.ident is None:
            self._loop.close()
            return
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._over.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(2 * _CLOSE_S)

    # --- for work in the connection's thread

    @property
    def seen_at(self) -> float:
        """The time of `boot_time` by which all that the server had sent was read, or a little before.

        A process that was paused reads what is old by then.
        """
        return self._tick

    async def ask(self, subject: str, payload: bytes = b"", headers: dict[str, str] | None = None) -> Msg:
        """Return the answer to one message.

        Raises:
            errors.NoRespondersError: Nobody listens to *subject*.
            errors.TimeoutError: There was no answer in time; the connection has ended.
        """
        number = str(next(self._numbers))
        answer: asyncio.Future[Msg] = self._loop.create_future()
        self._handlers[number] = lambda _, message: _answer(answer, message)
        self._asking[answer] = subject
        try:
            await self.client.publish(subject, payload, reply=f"{self._inbox}.{number}.0", headers=headers)
            async with asyncio.timeout(self.limit_s):
                message = await answer
        except TimeoutError:
            self.give_up(f"no answer within {self.limit_s:g} s")
            raise errors.TimeoutError from None
        finally:
            del self._handlers[number], self._asking[answer]
        return message

    async def question(self, answer: Future[Msg], subject: str, payload: bytes) -> None:
        """Send one message; its answer is set as that of *answer*. For `exchange`, which raises as `ask` does."""
        number, inbox = self.inbox(lambda _, message: _answer(answer, message))
        self._asking[answer] = subject

        def forget(_: object) -> None:
            self.leave(number)
            self._asking.pop(answer, None)

        answer.add_done_callback(forget)
        await self.client.publish(subject, payload, reply=f"{inbox}.0")

    def pass_on(self, work: Coroutine[Any, Any, T], answer: Future[T]) -> None:
        """Begin *work*; its result, or its error, becomes that of *answer*."""

        def finish(done: asyncio.Task[T]) -> None:
            if not _fail(answer, done) and not answer.done():
                answer.set_result(done.result())

        self._loop.create_task(work).add_done_callback(finish)

    def later(self, seconds: float, work: Callable[[], object]) -> asyncio.TimerHandle:
        """Call *work* after *seconds*, unless what this returns is cancelled."""
        return self._loop.call_later(seconds, work)

    async def api(self, subject: str, /, **arguments: Any) -> dict[str, Any]:
        """Return the answer of JetStream to a request.

        Raises:
            JetStreamError: It is an error.
        """
        try:
            message = await self.ask(subject, json.dumps(arguments).encode() if arguments else b"")
        except errors.NoRespondersError:
            refusal = {"code": 503, "err_code": 10076, "description": "JetStream does not answer"}
            raise JetStreamError(refusal, subject) from None
        answer: dict[str, Any] = json.loads(message.data)
        if "error" in answer:
            raise JetStreamError(answer["error"], subject)
        return answer

    def inbox(self, on_message: OnMessage) -> tuple[str, str]:
        """Have *on_message* called with the rest of the subject of each message to a new one: its number, the subject.

        Until `leave` with that number.
        """
        number = str(next(self._numbers))
        self._handlers[number] = on_message
        return number, f"{self._inbox}.{number}"

    def leave(self, number: str) -> None:
        """Have nothing called for that inbox any more."""
        self._handlers.pop(number, None)

    def give_up(self, reason: str) -> None:
        """End the connection: those who wait are told *reason*, a moment after the caller has raised its own error."""
        self._lose(reason)
        self._loop.call_later(_MOMENT_S, self._over.set)

    # --- the thread

    def _run(self) -> None:
        """Drive the connection until it ends. Whatever ends it, all who wait for an answer are told."""
        reason: Exception = RefusedError(UnavailableError, "the connection to NATS is closed")
        try:
            self._loop.run_until_complete(self._live())
        except Exception as error:  # noqa: BLE001 - those who wait raise it
            reason = self._raisable(error)
        finally:
            self._end(reason)
            self._loop.close()

    async def _live(self) -> None:
        try:
            await self._connect()
            self._opened.set_result(None)
            while not self._over.is_set() and not self.client.is_closed:
                self._tick = boot_time()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_TICK_S):
                        await self._over.wait()
        finally:
            self._end(self._reason())
            await self._leave_server()
        if self._last_error is not None:
            raise self._last_error

    async def _connect(self) -> None:
        failures: list[RefusedError] = []
        end = self._loop.time() + self.limit_s
        for left, server in zip(range(len(self._servers), 0, -1), self._servers, strict=True):
            try:
                async with asyncio.timeout((end - self._loop.time()) / left):
                    await self._connect_to(server)
            except (errors.Error, OSError, TimeoutError, ValueError) as error:
                failures.append(self._described(error))
                await self._leave_server()
            else:
                return
        self._last_error = failures[0]
        raise failures[0]

    async def _connect_to(self, server: str) -> None:
        self.client, self.server, self._last_error = Client(), without_credentials(server), None
        self.client.loop = self._loop
        self._inbox = self.client.new_inbox()
        await self.client.connect(
            servers=[server],
            error_cb=self._on_error,
            closed_cb=self._on_closed,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=max(1, round(self.limit_s)),
            name="capa",
            **self._options,
        )
        check_version(str(self.client.connected_server_version), self.server)
        await self.client.subscribe(f"{self._inbox}.*.*", cb=self._on_message, pending_bytes_limit=0)

    async def _leave_server(self) -> None:
        """Close the client, and what it has left: it leaves the socket open if it was closing when it was cancelled."""
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_S):
                await self.client.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        writer = getattr(self.client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
            await asyncio.sleep(0)  # the loop closes the socket in its next turn

    async def _on_message(self, message: Msg) -> None:
        number, _, rest = message.subject[len(self._inbox) + 1 :].partition(".")
        handler = self._handlers.get(number)
        if handler is not None:
            handler(rest, message)

    async def _on_error(self, error: Exception) -> None:
        """Take note of an error; one about a permission is the answer to the request that it names."""
        text = str(error)
        if "permissions violation" not in text.lower():
            self._last_error = error
            return
        for answer, subject in list(self._asking.items()):
            if subject.lower() in text.lower() and not answer.done():
                answer.set_exception(RefusedError(PermissionDeniedError, f"NATS at {self.server}: {text}"))

    async def _on_closed(self) -> None:
        if self._opened.done():  # until then, it was one of several servers
            self._over.set()

    # --- any thread

    def _begun(self, start: Callable[[Future[T]], object], wait_s: float) -> T:
        answer: Future[T] = Future()
        with self._lock:
            if self.lost is not None:
                raise self.lost
            self._waiting.add(answer)
        try:
            self._loop.call_soon_threadsafe(start, answer)
            return self._result(answer, wait_s + _PATIENCE * self.limit_s)
        finally:
            self._waiting.discard(answer)

    def _result(self, answer: Future[T], limit_s: float) -> T:
        try:
            return answer.result(limit_s)
        except NotInTimeError:
            if answer.done():  # the work itself ran out of time
                raise
            self._lose(f"no answer within {limit_s:g} s")
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._over.set)
            raise errors.TimeoutError from None

    def _lose(self, reason: str) -> None:
        """Note that the connection is of no use: the next call opens another one."""
        self._last_error = RefusedError(UnavailableError, f"NATS at {self.server}: {reason}")
        with self._lock:
            self.lost = self.lost or self._last_error

    def _reason(self) -> Exception:
        error = self._last_error
        if isinstance(error, Exception):
            return self._described(error)
        return RefusedError(UnavailableError, f"the connection to NATS at {self.server} has ended")

    def _described(self, error: BaseException) -> RefusedError:
        cause = self._last_error or error
        described = on_connecting(cause, self.server, str(self._options.get("user", "")))
        described.__cause__ = None if cause is described else cause
        return described

    def _raisable(self, error: Exception) -> Exception:
        """Return what those who wait raise for *error*; log it if it is none of NATS's, but a fault of a program."""
        if isinstance(error, errors.Error | OSError):
            return error if isinstance(error, RefusedError) else self._described(error)
        _log.error("The thread of a connection to NATS failed. The next call opens another.", exc_info=error)
        reason = RefusedError(UnavailableError, f"its thread failed: {type(error).__name__}: {error}")
        reason.__cause__ = error
        return reason

    def _end(self, reason: Exception) -> None:
        with self._lock:
            self.lost = self.lost or reason
            waiting, self._waiting = self._waiting, set()
        for answer in (self._opened, *waiting):
            if not answer.done():
                answer.set_exception(self.lost)


def _answer(answer: asyncio.Future[Msg] | Future[Msg], message: Msg) -> None:
    if answer.done():
        return
    if status_of(message) == "503":
        answer.set_exception(errors.NoRespondersError())
    else:
        answer.set_result(message)


def _fail(answer: Future[Any], done: asyncio.Task[Any]) -> bool:
    """Return whether *done* has failed, and tell it to *answer*; after a cancelling, `_end` tells it."""
    if done.cancelled():
        return True
    error = done.exception()
    if error is not None and not answer.done():
        answer.set_exception(error)
    return error is not None


def status_of(message: Msg) -> str:
    """Return the status of *message*, such as `404`; `""` if it is none but carries data."""
    return (message.headers or {}).get("Status", "") if not message.data else ""
