"""Servers that are too old for what Capa uses: told with the version, and the one that is needed.

None can be installed beside: these greet as such a server does, and say no more than is asked on connecting.
"""

import socket
import struct
import threading
from contextlib import contextmanager

import pytest

from capa_core.blocks.state import State
from capa_core.components.postgres.state import PostgresState
from capa_core.components.redis.state import RedisState
from capa_core.errors import UnsupportedError

pytestmark = pytest.mark.timeout(60)


@contextmanager
def greeting(answer):
    """Answer each packet of one connection by *answer*, and give the port."""

    def serve():
        accepted, _ = listener.accept()
        with accepted:
            while data := accepted.recv(65_536):
                accepted.sendall(answer(data))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def as_redis_5(data):
    if b"INFO" in data:
        text = b"# Server\r\nredis_version:5.0.14\r\n"
        return b"$%d\r\n%s\r\n" % (len(text), text)
    return b"+OK\r\n" * data.count(b"*")


def message(kind, body):
    return kind + struct.pack("!I", len(body) + 4) + body


READY = message(b"Z", b"I")


def as_postgres_9(data):
    """Take the user without a password; answer the one question of libpq, whether it may write."""
    if data[:1] == b"X":
        return b""
    if data[:1] == b"Q":
        column = b"x\0" + struct.pack("!IHIHIH", 0, 0, 25, 65_535, 0, 0)
        row = struct.pack("!HI", 1, 3) + b"off"
        return (
            message(b"T", struct.pack("!H", 1) + column)
            + message(b"D", row)
            + message(b"C", b"SHOW\0")
            + READY
        )
    told = message(b"S", b"server_version\x009.4.26\0") + message(b"S", b"client_encoding\0UTF8\0")
    return message(b"R", struct.pack("!I", 0)) + told + READY


SERVERS = {
    "redis": (RedisState, as_redis_5, "redis://127.0.0.1:{}", "is version 5.0.14: .*6.2 or later. Upgrade"),
    "postgres": (
        PostgresState,
        as_postgres_9,
        "postgresql://a@127.0.0.1:{}/x?sslmode=disable&gssencmode=disable",
        "is version 9.4: .*12 or later. Upgrade",
    ),
}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_that_is_too_old_is_told(name):
    driver, answer, url, said = SERVERS[name]
    with (
        greeting(answer) as port,
        State(driver(driver.settings_type(url=url.format(port)))) as state,
        pytest.raises(UnsupportedError, match=rf"127\.0\.0\.1:{port}.*{said}"),
    ):
        state.ping()
