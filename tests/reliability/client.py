"""A process of a run: a producer or a consumer, and its own way to the server."""

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from reliability.sides import Place, environment
from tcp_proxy import TcpProxy

Command = Callable[[Place], tuple[list[str], dict[str, str]]]


class Client:
    """Started, killed, and started again. What it starts is in its process group, and ends with it."""

    def __init__(self, command: Command, place: Place, proxy: TcpProxy | None) -> None:
        self._command = command
        self._place = place
        self._proxy = proxy
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def proxy(self) -> TcpProxy:
        """Its way to the server, for faults of the network."""
        assert self._proxy is not None
        return self._proxy

    @property
    def pid(self) -> int:
        """The process, which leads its group."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    @property
    def log(self) -> Path:
        """The file of all that it prints."""
        return self._place.folder / "log"

    def start(self) -> None:
        """Start the process, in place of the one before."""
        self._place.folder.mkdir(exist_ok=True)
        command, own = self._command(self._place)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._place.folder,
                env=environment(own),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def family(self) -> list[int]:
        """Return the processes of its session."""
        return [
            int(each.name)
            for each in Path("/proc").iterdir()
            if each.name.isdecimal() and self._is_ours(int(each.name))
        ]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and all that it has started."""
        for pid in self.family():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """End the process at once; those that it has started have to notice."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and all that it has started."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()

    def _is_ours(self, pid: int) -> bool:
        try:
            return os.getsid(pid) == self.pid
        except ProcessLookupError:
            return False
