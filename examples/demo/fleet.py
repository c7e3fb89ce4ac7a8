"""Processes of the demonstration: started, watched and stopped by name."""

from __future__ import annotations

import os
import random
import shlex
import signal
import socket
import string
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

GRACE_S = 8.0


class DemoError(Exception):
    """The demonstration cannot go on. The message has the reason and the log to read."""


def free_port() -> int:
    """Return an unused port on the loopback interface, to be listened on later.

    It lies below those that the kernel gives to connections, which would take one of these meanwhile.
    """
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def read_procfile(path: Path, environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the command of each process type, its `$VARIABLES` filled in."""
    commands = {}
    for line in path.read_text("utf-8").splitlines():
        name, _, command = line.partition(":")
        commands[name] = shlex.split(string.Template(command).substitute(environment))
    return commands


def wait_until(condition: Callable[[], bool], timeout_s: float, event: str) -> None:
    """Return when *condition* holds.

    Raises:
        DemoError: It did not within *timeout_s*; the message names the *event*.
    """
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise DemoError(f"{event} did not happen within {timeout_s:.0f} s")
        time.sleep(0.05)


class Fleet:
    """Processes by name, each with a log file and a process group of its own."""

    def __init__(self, folder: Path, environment: Mapping[str, str], logs: Path) -> None:
        """Start all processes in *folder* with *environment*; their output goes to *logs*."""
        self._folder = folder
        self._environment = dict(environment)
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: Sequence[str]) -> int:
        """Start *command* and return its pid."""
        with self.log_of(name).open("wb") as log:
            process = subprocess.Popen(
                list(command),
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches the demonstration alone, which then stops the rest in
                # order, and a worker is killed together with its children, as a container would be.
                start_new_session=True,
            )
        self._running[name] = process
        return process.pid

    @contextmanager
    def reading(self, name: str, command: Sequence[str]) -> Iterator[Iterator[str]]:
        """Run *command* and yield its output line by line as it comes; its standard error is logged.

        Raises:
            DemoError: The command was read to its end, and failed.
        """
        with self.log_of(name).open("wb") as log:
            process = subprocess.Popen(
                list(command),
                cwd=self._folder,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        with process:
            try:
                yield (line.strip() for line in process.stdout or ())
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise DemoError(f"`{' '.join(command)}` ended with {process.returncode}; see {self.log_of(name)}")

    def log_of(self, name: str) -> Path:
        """Return the log file of the process *name*."""
        return self._logs / f"{name}.log"

    def check(self) -> None:
        """Raise if a process has ended by itself.

        Raises:
            DemoError: The message names the process and its last lines.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                tail = self.log_of(name).read_text("utf-8", "replace").splitlines()[-12:]
                raise DemoError(
                    f"{name} ended by itself with {process.returncode}; its last lines:\n" + "\n".join(tail)
                )

    def kill(self, name: str) -> int:
        """Kill *name* and its children with SIGKILL; return its pid."""
        process = self._running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return process.pid

    def stop_all(self) -> list[str]:
        """Terminate all, the last started first; return the names of those that had to be killed."""
        processes = dict(reversed(self._running.items()))
        self._running.clear()
        for process in processes.values():
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + GRACE_S
        return [name for name, process in processes.items() if not _ended(process, until)]


def _ended(process: subprocess.Popen[bytes], until: float) -> bool:
    try:
        process.wait(max(until - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    return True
