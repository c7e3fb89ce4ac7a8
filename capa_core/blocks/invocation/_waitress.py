"""Waitress, protected against connections that send no request.

Waitress reads requests without a thread for each, so a connection that sends its head byte by byte costs a descriptor
and nothing else. But it never ends one that trickles, and stops accepting at its limit of connections. Here the head
has a time to arrive in, and at the limit connections without a running request are closed for new ones.
"""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from capa_core.supervision import SupervisedThread, as_text

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HEAD_S = 15.0
"""Within how many seconds of its first byte the head of a request must have arrived."""

IDLE_S = 60.0
"""After how many seconds without a byte a connection is closed, also in the middle of a body."""

_PAUSE_S = 1.0
"""The time between two searches for connections that are over their time."""


class Channel(HTTPChannel):
    """One connection.

    Attributes:
        waiting_since: When it began to send its present request, or to be without one (`time.monotonic`).
    """

    def __init__(self, server: Server, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self.waiting_since = time.monotonic()
        try:
            super().__init__(server, sock, *args, **kwargs)
        except BaseException:
            sock.close()
            raise

    @property
    def is_busy(self) -> bool:
        """Whether a request of it runs, or the answer to one is not sent yet."""
        return bool(self.requests or self.total_outbufs_len)

    def received(self, data: bytes) -> Any:
        """Take *data* as part of a request."""
        if self.request is None:
            self.waiting_since = time.monotonic()
        return super().received(data)

    def service(self) -> None:
        """Run one request; in a thread of the server."""
        super().service()
        self.waiting_since = time.monotonic()

    @property
    def is_late(self) -> bool:
        """Whether it has taken too long over the head of a request, or paused too long in anything else."""
        if self.requests and not self.total_outbufs_len:
            return False  # it waits for the application, not for the caller
        in_head = self.request is not None and not self.request.headers_finished
        too_slow = in_head and time.monotonic() - self.waiting_since > HEAD_S
        return too_slow or time.time() - self.last_activity > IDLE_S

    def abandon(self) -> None:
        """Close it; in the thread of the server's loop. A request that runs goes on, and its answer is dropped."""
        if self.request is not None:
            self.request.close()
        self.handle_close()  # unlike `close` it also closes the files that hold large bodies


class RequestThreads(ThreadedTaskDispatcher):
    """The threads that run requests.

    Args:
        log: As for `SupervisedThread`.
    """

    def __init__(self, count: int, log: Callable[[], Any]) -> None:
        super().__init__()
        self._log = log
        self.set_thread_count(count)

    def start_new_thread(self, target: Callable[[int], object], thread_no: int) -> None:
        """Start a thread that runs requests, by *target*, until the number of threads is lowered."""
        work = partial(target, thread_no)
        SupervisedThread(f"capa-serve-{thread_no}", work, log=self._log, stopping=lambda: False).start()


class Server(TcpWSGIServer):
    """A server for *application* on *listener*.

    Args:
        connections: The most at a time; above it the oldest one without a running request is closed.
        log: As for `SupervisedThread`.
    """

    channel_class = Channel

    # Which its stubs leave out, or declare as something else.
    active_channels: Any
    task_dispatcher: Any
    trigger: Any
    _map: Any

    def __init__(
        self,
        application: WSGIApplication,
        listener: socket.socket,
        *,
        threads: int,
        connections: int,
        log: Callable[[], Any],
    ) -> None:
        self._log = log
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # The other half of the descriptors is for files and connections of the requests.
        self._most = connections if soft == resource.RLIM_INFINITY else min(connections, soft // 2)
        settings = Adjustments(
            sockets=[listener],
            clear_untrusted_proxy_headers=True,
            connection_limit=self._most + 100,  # reached if all of them are busy
            cleanup_interval=_PAUSE_S,
            backlog=min(1024, max(128, connections)),
        )
        address = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(
            application,
            map={},
            _sock=listener,
            dispatcher=RequestThreads(threads, log),
            adj=settings,
            sockinfo=address,
            bind_socket=False,
        )

    def run(self) -> None:
        """Serve until `stop`. After an exception it can be called again, and goes on with the same connections."""
        # Not the original's, which takes a `SystemExit` for its end.
        wasyncore.loop(timeout=1.0, map=self._map, use_poll=True)  # `select` knows descriptors up to 1023

    def maintenance(self, now: float) -> None:
        """Close the connections that are over their time."""
        del now
        for channel in list(self.active_channels.values()):
            if channel.is_late:
                channel.abandon()

    def handle_accept(self) -> None:
        """Accept a connection, and make room for the next if it was the last that fits; log it if that fails."""
        try:
            super().handle_accept()
            # Afterwards: else the new one could get the descriptor of the old one, and an event of this round with it.
            if len(self.active_channels) > self._most:
                self._make_room()
        except Exception as error:  # noqa: BLE001 - waitress would close the listening socket, and serve nobody any more
            self._log().error("a connection could not be accepted", traceback=as_text(error))

    def _make_room(self) -> None:
        waiting = [channel for channel in self.active_channels.values() if not channel.is_busy]
        if waiting:
            min(waiting, key=attrgetter("waiting_since")).abandon()

    def is_busy(self) -> bool:
        """Return whether a request runs, or an answer is being sent; callable in any thread."""
        return any(channel.is_busy for channel in list(self.active_channels.values()))

    def stop_accepting(self) -> None:
        """Free the port, and close the connections that wait; in the thread of the server's loop."""
        wasyncore.dispatcher.close(self)
        for channel in list(self.active_channels.values()):
            if not channel.is_busy:
                channel.abandon()

    def stop(self, patience_s: float) -> None:
        """End the threads, close all connections, and with them the loop; in the thread of the loop.

        Args:
            patience_s: Seconds to wait for threads that run a request.
        """
        self.task_dispatcher.shutdown(timeout=patience_s)
        for channel in list(self.active_channels.values()):
            for request in channel.requests:
                request.close()
            channel.abandon()
        wasyncore.close_all(self._map)
