"""A small application on Celery and on Capa over one broker, with worker processes; results are on a Redis server."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

APP = """
import os
from {package} import Celery

app = Celery("bench", broker="{broker}", backend="{redis}/2")
app.conf.worker_hijack_root_logger = False

@app.task
def touch():
    with open(os.environ["TOUCHED"], "ab", buffering=0) as file:
        file.write(b".")

@app.task
def add(x, y):
    return x + y

@app.task(ignore_result=True)
def noop():
    pass
"""

CAPA_TOML = """
[pubsub.default]
driver = "{driver}"
url = "{queues}"
[state.default]
driver = "redis"
url = "{redis}/4"
[lock.default]
driver = "redis"
url = "{redis}/4"
"""


class Side:
    """One side of a comparison: a folder with its application, and its worker."""

    def __init__(self, folder: Path, package: str, redis: str, rabbitmq: str | None) -> None:
        self.folder = folder
        self.package = package
        folder.mkdir()
        (folder / "bench.py").write_text(
            APP.format(package=package, broker=rabbitmq or f"{redis}/1", redis=redis)
        )
        driver, queues = ("rabbitmq", rabbitmq) if rabbitmq else ("redis", f"{redis}/4")
        (folder / "capa.toml").write_text(CAPA_TOML.format(driver=driver, queues=queues, redis=redis))
        self.touched = folder / "touched"
        self.environment = {**os.environ, "TOUCHED": str(self.touched)}

    def script(self, code: str) -> str:
        """Run *code* where `from bench import …` is this side's application, and return its output."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    @contextmanager
    def worker(self, pool: str, concurrency: int) -> Iterator[None]:
        """Run a worker during a `with` block."""
        command = [sys.executable, "-m", "celery", "-A", "bench", "worker", "-l", "WARNING"]
        with (self.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(
                [*command, "-P", pool, "-c", str(concurrency)],
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        try:
            yield
        finally:
            worker.send_signal(signal.SIGTERM)
            try:
                worker.wait(20)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


@contextmanager
def sides(rabbitmq: str | None = None) -> Iterator[tuple[Side, Side]]:
    """Yield Celery's side and Capa's, over a Redis server of their own, or over the broker *rabbitmq*."""
    with tempfile.TemporaryDirectory() as name, redis(Path(name)) as url:
        yield tuple(
            Side(Path(name, package), package, url, rabbitmq) for package in ("celery", "capa_celery")
        )


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """Run a Redis server without persistence and yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = [
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        str(folder),
    ]
    server = subprocess.Popen(["redis-server", *flags], stdout=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def wait_for_port(port: int) -> None:
    """Wait until a server listens on *port*.

    Raises:
        TimeoutError: No server listens within 10 s.
    """
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing listens on port {port}")
