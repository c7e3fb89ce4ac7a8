"""Engines of the demonstration: the embedded default, or a Redis of its own."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.fleet import DemoError, Fleet, free_port

SETTINGS = """\
[profiles.redis.pubsub.default]
driver = "redis"
url = "{url}"

[profiles.redis.state.default]
driver = "redis"
url = "{url}"

[profiles.redis.lock.default]
driver = "redis"
url = "{url}"
"""


@contextmanager
def redis(work: Path) -> Iterator[str]:
    """Run a Redis in *work* and yield its URL.

    Raises:
        DemoError: There is no `redis-server`, or it does not start.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise DemoError("PROFILE=redis needs `redis-server`: apt-get install redis-server")
    folder = work / "redis"
    folder.mkdir()
    port = free_port()
    server = Fleet(folder, {}, work / "logs")
    # Durable, as `capa doctor` advises: without an append-only file a killed Redis loses its waiting messages.
    durable = ["--appendonly", "yes", "--save", ""]
    server.start(
        "redis", [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
    )
    try:
        _wait_for(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop_all()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise DemoError(f"redis-server does not answer on port {port}")
