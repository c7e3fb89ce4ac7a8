"""A server for a WSGI application."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self

from capa_core.call import telemetry
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import UnavailableError
from capa_core.supervision import SupervisedThread

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_DRAIN_S = 5.0
_THREADS_END_S = 0.5


@blocking()
class Served:
    """A running HTTP/1.1 server (waitress) for an application, until `close`.

    Attributes:
        url: Its address, such as `http://127.0.0.1:40123`.

    Raises:
        UnavailableError: The address is in use or cannot be bound.
    """

    def __init__(
        self, application: WSGIApplication, *, host: str, port: int, threads: int, connections: int
    ) -> None:
        from capa_core.blocks.invocation._waitress import Server

        try:
            listener = socket.create_server((host, port))
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {host}:{port}: {error.strerror}. Free the port or choose another."
            ) from error
        self.url: str = f"http://{host}:{listener.getsockname()[1]}"
        log = partial(telemetry.logger, "invocation", self.url)
        self._server = Server(application, listener, threads=threads, connections=connections, log=log)
        self._thread = SupervisedThread(
            f"capa-serve-{self.url}", self._server.run, log=log, stopping=lambda: False
        )
        self._thread.start()

    @call_traits(waits=True)
    def close(self) -> None:
        """Free the port, wait up to 5 s for running requests and their answers, and end. Twice does nothing."""
        if not self._thread.is_alive():
            return
        end = time.monotonic() + _DRAIN_S
        # Only the thread of the loop may touch its sockets.
        self._tell(self._server.stop_accepting)
        while self._server.is_busy() and time.monotonic() < end:
            time.sleep(0.01)
        patience_s = max(_THREADS_END_S, end - time.monotonic())
        self._tell(partial(self._server.stop, patience_s))
        self._thread.join()

    def _tell(self, work: Callable[[], object]) -> None:
        """Have *work* done in the thread of the loop, unless that has ended meanwhile and closed its sockets."""
        try:
            self._server.trigger.pull_trigger(work)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
