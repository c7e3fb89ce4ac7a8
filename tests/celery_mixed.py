"""Fleets of Celery's own workers and of Capa's on one Redis database, and clients of either kind."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import celery_fleet
import celery_mixed_client
import pytest
import redis

from capa_core.conformance._tolerance import wait_until

CELERY, CAPA = "celery", "capa_celery"
KINDS = [CELERY, CAPA]
CLIENT = celery_mixed_client.__file__
LEASE_S = 2
PATIENCE_S = celery_fleet.PATIENCE_S

APP = """
import time
from {kind} import Celery

app = Celery("mixed", broker="{url}", backend="{url}", set_as_current=False)
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
app.conf.worker_prefetch_multiplier = 1

def task(**options):
    return app.task(shared=False, **options)

@task(name="add")
def add(x, y):
    return x + y

@task(name="total")
def total(numbers):
    return sum(numbers)

@task(name="fail")
def fail(*args):
    raise ValueError(*args)

@task(name="again", bind=True)
def again(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0.1)
    return self.request.retries

@task(name="seen", bind=True)
def seen(self):
    info = self.request.delivery_info
    return [self.request.hostname, self.request.headers, info["routing_key"], info["priority"], info["redelivered"]]

@task(name="work")
def work(number, pause_s=0.02):
    time.sleep(pause_s)
    return number
"""

TABLE = '[{block}.default]\ndriver = "redis"\nurl = "{url}"\n'


class MixedFleet:
    """One application, served by workers of either kind and asked by clients of either kind, each a process."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        for kind in KINDS:
            (folder / f"mixed_{kind}.py").write_text(APP.format(kind=kind, url=url))
        tables = "".join(TABLE.format(block=block, url=url) for block in ("pubsub", "state", "lock"))
        settings = f'wire = "celery"\nlease_s = {LEASE_S}\nmax_worker_losses = 100\n'
        (folder / "capa.toml").write_text(f"[adapters.celery]\n{settings}{tables}")
        self._environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "ignore"}

    @contextmanager
    def client(self, kind: str, function: str, *arguments: Any) -> Iterator["Asking"]:
        """Call a function of `celery_mixed_client` with the application of a kind, for the length of a `with` block."""
        command = [sys.executable, CLIENT, kind, function, *map(json.dumps, arguments)]
        with self._running(command, f"client-{kind}") as (process, log):
            yield Asking(process, log)

    @contextmanager
    def worker(self, kind: str, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a worker for the length of a `with` block; it is called `KIND@here`, and killed at the end."""
        command = [
            sys.executable,
            "-m",
            kind,
            "-A",
            f"mixed_{kind}",
            "worker",
            "-l",
            "INFO",
            "-n",
            f"{kind}@here",
        ]
        with self._running([*command, *options], f"worker-{kind}") as (process, log):
            ready = lambda: b" ready." in log.read_bytes() or process.poll() is not None  # noqa: E731 - short
            wait_until(ready, patience_s=PATIENCE_S)
            assert process.poll() is None, log.read_text()[-3000:]
            yield process

    @contextmanager
    def _running(self, command: list[str], name: str) -> Iterator[tuple["subprocess.Popen[bytes]", Path]]:
        log = self.folder / f"{name}-{len(list(self.folder.glob(f'{name}-*')))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        try:
            yield process, log
        finally:
            process.kill()
            process.wait()
            print(log.read_text()[-4000:])

    def holding(self) -> int:
        """Return how many messages workers hold."""
        with redis.Redis.from_url(self.url) as client:
            return int(client.hlen("unacked"))

    def leases(self) -> list[bytes]:
        """Return the receipts of what workers of Capa hold."""
        with redis.Redis.from_url(self.url) as client:
            return list(client.zrange("_capa.celery.leases", 0, -1))

    def stopped_with_tasks(self, worker: "subprocess.Popen[bytes]") -> bool:
        """Stop a worker of Capa, and return whether it holds tasks; let it go on if it does not."""
        worker.send_signal(signal.SIGSTOP)
        if self.leases():
            return True
        worker.send_signal(signal.SIGCONT)
        return False


class Asking:
    """A client that asks, and prints the answer."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    def has_said(self, text: str) -> bool:
        """Return whether *text* is in the log of the client, or it has ended."""
        return text in self._log.read_text() or self._process.poll() is not None

    def answer(self) -> Any:
        """Wait for the end of the client, and return what its function returned."""
        assert self._process.wait(2 * PATIENCE_S) == 0
        _, _, answer = self._log.read_text().partition(celery_mixed_client.ANSWER)
        return json.loads(answer.partition("\n")[0])


@pytest.fixture
def mixed(tmp_path: Path, redis_url: str) -> MixedFleet:
    return MixedFleet(tmp_path, redis_url)
