"""A TCP proxy on loopback that can go silent, cut, and refuse: a broken network without containers."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self


class TcpProxy:
    """Passes bytes both ways between its own port and the port of a server on loopback."""

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._silent = False
        self._deaf = False
        self._servers: set[socket.socket] = set()
        self._closing = False
        self.port: int = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="tcp-proxy", daemon=True)

    @classmethod
    @contextmanager
    def to(cls, target_port: int) -> Iterator[Self]:
        """Run a proxy to *target_port* for the length of the block."""
        proxy = cls(target_port)
        proxy._thread.start()
        try:
            yield proxy
        finally:
            proxy.close()

    def go_silent(self) -> None:
        """Swallow all bytes from now on: connections stay open, new ones are taken, nobody answers."""
        self._silent = True

    def swallow_answers(self) -> None:
        """Pass what clients send and swallow what the server answers."""
        self._deaf = True

    def speak(self) -> None:
        """Pass bytes again. What was swallowed stays lost, so cut the connections too."""
        self._silent = self._deaf = False

    def cut(self) -> None:
        """Break all connections; new ones are welcome."""
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
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._pass_on(key.fileobj)
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
            if data and not self._silent and not (self._deaf and source in self._servers):
                self._peers[source].sendall(data)
        except OSError:
            data = b""
        if not data:
            self._drop(source)

    def _drop(self, source: socket.socket) -> None:
        for each in (source, self._peers[source]):
            self._selector.unregister(each)
            del self._peers[each]
            self._servers.discard(each)
            each.close()
