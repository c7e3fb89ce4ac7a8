"""A server for a WSGI application."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from capa_core.call.traits import blocking, call_traits
from capa_core.errors import UnavailableError

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@blocking()
class Served:
    """A running HTTP/1.1 server (waitress) for an application, until `close`.

    Attributes:
        url: Its address, such as `http://127.0.0.1:40123`.

    Raises:
        UnavailableError: The address is in use or cannot be bound.
    """

    def __init__(self, application: WSGIApplication, *, host: str, port: int, threads: int) -> None:
        from waitress.server import create_server

        try:
            listener = socket.create_server((host, port))
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {host}:{port}: {error.strerror}. Free the port or choose another."
            ) from error
        self.url: str = f"http://{host}:{listener.getsockname()[1]}"
        self._channels: dict[int, Any] = {}
        self._server: Any = create_server(
            application,
            sockets=[listener],
            threads=threads,
            map=self._channels,
            clear_untrusted_proxy_headers=True,
        )
        self._thread = threading.Thread(target=self._server.run, name=f"capa-serve-{self.url}", daemon=True)
        self._thread.start()

    @call_traits(waits=True)
    def close(self) -> None:
        """Stop accepting requests, wait up to 5 s for running ones, and free the port. A second call does nothing."""
        if self._thread.is_alive():
            self._server.trigger.pull_trigger(self._stop)
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop(self) -> None:
        # Runs in the server's own thread, the only one that may touch its sockets; its loop ends with the last socket.
        from waitress import wasyncore

        self._server.task_dispatcher.shutdown()
        for channel in list(self._server.active_channels.values()):
            for request in filter(None, (*channel.requests, channel.request)):
                request.close()
            channel.handle_close()  # unlike `close` it also closes the files that hold large bodies
        wasyncore.close_all(self._channels)
