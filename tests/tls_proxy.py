"""A port with TLS in front of a server on loopback, as a load balancer or stunnel has it."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from certificates import make_certificate

_HANDSHAKE_S = 20
_BYTES = 65_536


class TlsProxy:
    """Takes TLS connections on a port of its own and passes what they carry to the port of a server.

    Attributes:
        port: Its own port.
        certificate: The path of its certificate, for `localhost` and `127.0.0.1`, which is its own authority.
    """

    def __init__(self, target_port: int, folder: Path) -> None:
        self._target = ("127.0.0.1", target_port)
        self.certificate, key = make_certificate(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._in_thread(self._accept)

    @classmethod
    @contextmanager
    def to(cls, target_port: int, folder: Path) -> Iterator[Self]:
        """Run a proxy to *target_port* for the length of the block; its certificate is written to *folder*."""
        proxy = cls(target_port, folder)
        try:
            yield proxy
        finally:
            proxy.close()

    def close(self) -> None:
        """Close the port and all connections."""
        for each in (self._listener, *list(self._open)):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                plain, _ = self._listener.accept()
                self._in_thread(self._serve, plain)

    def _serve(self, plain: socket.socket) -> None:
        plain.settimeout(_HANDSHAKE_S)
        with plain, suppress(OSError):  # a client that speaks no TLS, or a connection that ended
            client = self._context.wrap_socket(plain, server_side=True)
            with client, socket.create_connection(self._target) as server:
                client.settimeout(None)
                self._open |= {client, server}
                self._in_thread(_pass, server, client)
                _pass(client, server)

    def _in_thread(self, work, *arguments) -> None:
        threading.Thread(target=work, args=arguments, name="tls-proxy", daemon=True).start()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_BYTES):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
