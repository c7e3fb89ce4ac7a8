"""PostgreSQL for tests: one server for all workers, a schema for each test, and servers to break."""

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from ._process import ServerProcess, answers, free_port
from ._program import Program

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
"""Debian keeps the server off the path, a folder for each major version."""
PROGRAM = Program(
    "postgres",
    str(_BINARIES[-1] / "postgres") if _BINARIES else "postgres",
    install="apt-get install postgresql",
)
_START_TIMEOUT_S = 60.0


class PostgresServer(ServerProcess):
    """A PostgreSQL server on loopback that trusts everybody, with the database `postgres`."""

    def __init__(self, folder: Path, **config: str | int) -> None:
        self.port = free_port()
        program = Path(PROGRAM.require())
        self._data = folder / "data"
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
        } | config
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        user = unprivileged(folder)
        make = [
            program.with_name("initdb"),
            "-D",
            self._data,
            "-A",
            "trust",
            "-U",
            "capa",
            "-E",
            "UTF8",
            "-N",
        ]
        made = subprocess.run(
            [*make, "--locale=C.UTF-8"],
            user=user,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert made.returncode == 0, made.stdout
        super().__init__(
            [str(program), "-D", str(self._data), *flags],
            folder,
            lambda: answers(self.port) and self._is_ready(),
            start_timeout_s=_START_TIMEOUT_S,
            user=user,
        )

    @classmethod
    @contextmanager
    def started(cls, **config: str | int) -> Iterator[Self]:
        """Run a server in a temporary folder, for the length of a `with` block.

        Args:
            config: Settings of postgresql.conf.
        """
        with (
            tempfile.TemporaryDirectory(prefix="postgres-") as folder,
            cls(Path(folder), **config).serving() as server,
        ):
            yield server

    @property
    def url(self) -> str:
        """The address of its database."""
        return f"postgresql://capa@127.0.0.1:{self.port}/postgres"

    def kill(self) -> None:
        """End the server and all its processes at once: a new one refuses to start beside the old one's."""
        if self._process is not None:
            children: list[str] = []
            if self._process.poll() is None:
                self.pause()  # or it would begin another after they are listed, which outlives it
                children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            super().kill()
            for child in map(int, children):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            while any(Path(f"/proc/{child}").exists() for child in children):
                time.sleep(0.01)

    def _is_ready(self) -> bool:
        asked = [
            Path(PROGRAM.require()).with_name("pg_isready"),
            "-q",
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
        ]
        return subprocess.run(asked, check=False).returncode == 0


@contextmanager
def _address() -> Iterator[str]:
    with PostgresServer.started(fsync="off") as server:
        yield server.url
        server.kill()  # it keeps nothing that matters


@pytest.fixture(scope="session")
def postgres_url(run_folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the address of the database that all tests share; a test that breaks one takes `start_postgres`."""
    from ._shared import shared  # not for benchmarks, which start servers without a run of tests

    PROGRAM.require()
    return shared(request.config, run_folder / "postgres", _address)


@pytest.fixture(scope="session")
def _postgres_schemas() -> Iterator[str]:
    return (f"capa_{os.getpid()}_{number}" for number in itertools.count())


@pytest.fixture
def postgres_schema(_postgres_schemas: Iterator[str]) -> str:
    """Give the name of a schema that no other test has."""
    return next(_postgres_schemas)


@pytest.fixture
def start_postgres() -> Iterator[Callable[..., PostgresServer]]:
    """Give a function that starts a server for this test alone; its keywords are settings of postgresql.conf."""
    with ExitStack() as servers:
        yield lambda **config: servers.enter_context(PostgresServer.started(**config))


def unprivileged(folder: Path) -> str | None:
    """Return the user for a server that refuses to run as root, who gets *folder*; `None` where nobody is root."""
    if os.geteuid():
        return None
    shutil.chown(folder, "postgres")
    for parent in folder.parents:  # pytest keeps its folders for their owner alone
        if not parent.stat().st_mode & 0o001 and parent.stat().st_uid == 0:
            parent.chmod(parent.stat().st_mode | 0o011)
    return "postgres"
