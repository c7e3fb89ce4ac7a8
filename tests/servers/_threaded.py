"""An HTTP server of our own in the test's process: each connection has a thread of its own, which holds up no exit."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ThreadedServer(ThreadingHTTPServer):
    """Serves *handler* on a port of loopback.

    Args:
        threads: The name of its threads.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler], threads: str) -> None:
        self._thread_name = threads
        super().__init__(("127.0.0.1", port), handler)

    def start(self) -> None:
        """Serve in a thread."""
        self._accepting = threading.Thread(
            target=self.serve_forever, args=(0.02,), name=self._thread_name, daemon=True
        )
        self._accepting.start()

    def stop(self) -> None:
        """Accept no more connections; those that are open are served on."""
        self.shutdown()
        self._accepting.join()
        self.server_close()

    def process_request(self, request, client_address) -> None:
        serve = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name=self._thread_name,
            daemon=True,
        )
        serve.start()

    def handle_error(self, request, client_address) -> None:
        """Say nothing: clients that leave in the middle of an answer are part of the tests."""
