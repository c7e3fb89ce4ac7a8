"""Server processes: started on loopback and a free port, in a folder of their own, ended by their own pid."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

START_TIMEOUT_S = 20
STOP_TIMEOUT_S = 10
_RANDOM = random.SystemRandom()  # the other one may be seeded, and then the same in every worker


def free_port() -> int:
    """Return a loopback port that nothing listens on at the moment.

    It lies below those that the kernel gives to connections and to listeners that ask for any: between this call and
    the start of the server, none of the tests that run at once takes it.
    """
    while True:
        port = _RANDOM.randrange(10_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def answers(port: int) -> bool:
    """Return whether something listens on the loopback *port*."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ServerProcess:
    """A child process that can be stopped, killed, paused and started again with the same command.

    Args:
        command: The command line. The server must stay in the foreground, so that its pid is ours.
        folder: Its working folder; its output goes to `output.log` there.
        ready: Returns whether the server answers.
        start_timeout_s: Seconds within which it must.
        user: The user that it runs as; the present one by default.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        ready: Callable[[], bool],
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        user: str | None = None,
    ) -> None:
        self._start_timeout_s = start_timeout_s
        self._user = user
        self._command = command
        self._folder = folder
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def serving(self) -> Iterator[Self]:
        """Run the server for the length of a `with` block."""
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        return self._running().pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            RuntimeError: It ended or did not answer in time; the message carries the end of its output.
        """
        with (self._folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + self._start_timeout_s
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self._command[0]} did not start:\n{self._end_of_output()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Ask the server to end (SIGTERM) and wait for it; kill it when it takes too long. Twice is fine."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End the server at once (SIGKILL), as a crash or a power cut of the process would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def lose_disk(self) -> None:
        """Remove what a server that was ended has stored, if it does so in `data` of its folder."""
        shutil.rmtree(self._folder / "data")

    def revive(self) -> None:
        """Start the server again if it has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            self.kill()
            self.start()

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): it keeps its connections and answers nothing, none of its threads."""
        os.kill(self.pid, signal.SIGSTOP)
        threads = Path(f"/proc/{self.pid}/task")
        while any(_state(thread) not in "Tt" for thread in threads.glob("*/stat")):
            time.sleep(0.001)

    def resume(self) -> None:
        """Continue a paused server (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self._command[0]} is not running: call start() first")
        return self._process

    def _end_of_output(self) -> str:
        return (self._folder / "output.log").read_text(errors="replace")[-2000:]


def _state(stat: Path) -> str:
    """Return the letter of the state of a thread; `T` for one that has ended meanwhile."""
    try:
        return stat.read_text().rpartition(") ")[2][0]
    except OSError:
        return "T"
