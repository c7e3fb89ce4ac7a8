"""A TCP proxy on loopback that can go silent, trickle, cut, and refuse: a broken network without containers."""

import contextlib
import selectors
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class TcpProxy:
    """Passes bytes both ways between its own port and the port of a server on loopback."""

    def __init__(self, target_port: int, port: int = 0) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", port))
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._silent = False
        self._deaf = False
        self._servers: set[socket.socket] = set()
        self._pause_s = 0.0
        self._next_byte = 0.0
        self._held: dict[socket.socket, bytearray] = {}
        self._closing = False
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)

    @classmethod
    @contextmanager
    def to(cls, target_port: int, port: int = 0) -> Iterator[Self]:
        """Run a proxy to *target_port* for the length of the block, on *port* or on any."""
        proxy = cls(target_port, port)
        proxy._thread.start()
        try:
            yield proxy
        finally:
            proxy.close()

    def go_silent(self) -> None:
        """Drop all bytes from now on: connections stay open, new ones are accepted, no answer comes."""
        self._silent = True

    def swallow_answers(self) -> None:
        """Pass the bytes of clients and drop those of the server."""
        self._deaf = True

    def trickle(self, pause_s: float) -> None:
        """Pass the answers of servers byte by byte, with *pause_s* after each, also in new connections."""
        self._pause_s = pause_s

    def speak(self) -> None:
        """Pass bytes again. Dropped or held ones stay lost, so cut the connections too."""
        self._silent = self._deaf = False
        self._pause_s = 0.0

    def cut(self) -> None:
        """Break all connections; new ones are accepted."""
        for peer in list(self._peers):
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the proxy: connections break, and new ones are refused."""
        self._closing = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        self._thread.join(5)

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._pause_s or None):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj)
            self._drip()
        for each in [self._listener, *self._peers]:
            each.close()
        self._selector.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            server = socket.create_connection(self._target, timeout=5)
        except OSError:
            client.close()
            return
        self._servers.add(server)
        for near, far in ((client, server), (server, client)):
            self._peers[near] = far
            self._selector.register(near, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        if source not in self._peers:
            return  # dropped with its peer a moment ago
        try:
            data = source.recv(65536)
            if data and self._pause_s and source in self._servers:
                self._held.setdefault(self._peers[source], bytearray()).extend(data)
            elif data and not self._silent and not (self._deaf and source in self._servers):
                self._peers[source].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)

    def _drip(self) -> None:
        """Send one byte of each held answer, if it is time."""
        if not self._held or time.monotonic() < self._next_byte:
            return
        self._next_byte = time.monotonic() + self._pause_s
        for client, answer in list(self._held.items()):
            with contextlib.suppress(OSError):
                client.send(answer[:1])
            del answer[:1]
            if not answer:
                del self._held[client]

    def _drop(self, source: socket.socket) -> None:
        for each in (source, self._peers[source]):
            self._selector.unregister(each)
            del self._peers[each]
            self._servers.discard(each)
            self._held.pop(each, None)
            each.close()
