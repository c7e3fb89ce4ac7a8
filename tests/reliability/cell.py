"""One cell of the matrix: an engine, a side and its faults, run, and judged from the journal."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from reliability.client import Client
from reliability.engine import CONSUMERS, engines
from reliability.faults import FAULTS, Fault
from reliability.journal import ERRORS, Journal, Line, Tail
from reliability.sides import LEASE_S, SIDES, Place
from tcp_proxy import TcpProxy

JUDGE = Path(__file__).with_name("judge.py")
STARTED_WITHIN_S = 60.0
WAITED_S = 8.0
"""Seconds more than the lease: a run goes on to its next fault then, though not all of before the last is done."""
DONE_WITHIN_S = 60.0
LARGE_BYTES = 10_000
"""A message that needs new room on a disk, also where an engine has set some aside."""
LATE_S = 1.0
"""Seconds more than the lease: messages that come twice come by then."""


class Cell:
    """The processes and the server of one cell.

    Args:
        faults: The names of the faults, one after the other, each amid an equal share of the messages.
        lease_s: The lease of the consumers.
        folder: Empty; everything is written there, and all may search its parents.
        say: Told the progress.
        late_s: Seconds more until an acknowledgement is with the engine, where it confirms none: for a busy machine.
    """

    def __init__(
        self,
        engine: str,
        side: str,
        faults: Sequence[str],
        messages: int,
        folder: Path,
        lease_s: float = LEASE_S,
        say: Callable[[str], object] = lambda _: None,
        late_s: float = 0.0,
    ) -> None:
        self.engine, self.side = engines()[engine], SIDES[side]
        self._faults = [FAULTS[name] for name in faults]
        self._needs = {fault.needs for fault in self._faults}
        self._name = engine
        self._messages = messages
        self._folder = folder
        self.lease_s = lease_s
        self._say = say
        self._late_s = late_s
        self._path = folder / "journal"
        self._journal = Journal(self._path)
        self._tail = Tail(self._path)
        self._seen = _Seen()
        self._number = 0
        self._begun = 0
        self._rounds = len(faults) + sum(fault.needs == "disk" for fault in self._faults)
        self._random = random.Random(messages)
        self.disk = folder / "disk"
        self.server: Any = None
        self.producer: Client
        self.consumers: list[Client] = []
        self.ended_by_themselves = 0

    @property
    def clients(self) -> list[Client]:
        """All processes."""
        return [self.producer, *self.consumers]

    def run(self) -> dict[str, Any]:
        """Run it, and return the counts of the judge."""
        with ExitStack() as stack:
            self._open(stack)
            for number, fault in enumerate(self._faults):
                self._begin(number)
                self._strike(number, fault)
            self._finish()
        unseen_s = max(self.side.unseen_s, self.engine.unseen_s)
        unseen_s += self._late_s if unseen_s else 0.0
        words = [sys.executable, "-I", JUDGE, self._path, str(unseen_s), str(self.lease_s)]
        counts = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
        return counts | {"ended_by_themselves": self.ended_by_themselves}

    # --- for faults

    def victim(self) -> Client:
        """Return a consumer, each time another one."""
        return self.consumers[self._number % len(self.consumers)]

    def working_child(self) -> int:
        """Return a process that works on a message at this moment, and leads no others."""
        leaders = {client.pid for client in self.consumers}
        alive = {pid for client in self.consumers for pid in client.family()} - leaders
        self._wait(lambda: self._seen.working & alive, STARTED_WITHIN_S, "no pool process works")
        return self._random.choice(sorted(self._seen.working & alive))

    def go_on(self) -> None:
        """Let the producer send the next share of the messages."""
        self._journal.note("round", [self._begun], "-")
        self._begun += 1

    def errors(self) -> int:
        """Return how many errors the processes have noted so far."""
        self._seen.add(self._tail.new())
        return self._seen.errors

    @contextmanager
    def fault(self, victims: Sequence[object], *, outage: bool = False) -> Iterator[None]:
        """Note when a fault begins and ends, and whom it hits."""
        self._journal.note("outage" if outage else "fault", [self._number], ",".join(map(str, victims)))
        yield
        self._journal.note("over", [self._number], "-")

    # --- the run

    def _open(self, stack: ExitStack) -> None:
        self.disk.mkdir()
        if "disk" in self._needs:
            stack.enter_context(_small_disk(self.disk, self.engine.disk_mb))
        if self.engine.started is not None:
            data = self.disk / "server"
            data.mkdir()
            self.server = stack.enter_context(self.engine.started(data))
        roles = ["producer", *(f"consumer{number}" for number in range(CONSUMERS))]
        clients = [self._client(role, number, stack) for number, role in enumerate(roles)]
        self.producer, self.consumers = clients[0], clients[1:]
        for client in (*self.consumers, self.producer):
            stack.callback(client.close)
            client.start()

    def _client(self, role: str, number: int, stack: ExitStack) -> Client:
        proxy = None
        if self.server is not None and "network" in self._needs:
            proxy = stack.enter_context(TcpProxy.to(*self.engine.proxied(self.server, number)))
        port = 0 if self.server is None else (proxy or self.server).port
        plan = {
            "journal": str(self._path),
            "messages": self._messages,
            "rounds": self._rounds,
            "lease_s": self.lease_s,
            "body_bytes": LARGE_BYTES if "disk" in self._needs else 0,
        }
        place = Place(engine=self._name, port=port, disk=self.disk, folder=self._folder / role, plan=plan)
        return Client(self.side.produce if role == "producer" else self.side.consume, place, proxy)

    def _begin(self, number: int) -> None:
        """Begin a round, and return amid its share of the messages."""
        self._number = number
        if number == 0:
            self._wait(lambda: self._all_work(0.0), STARTED_WITHIN_S, "not all processes came")
            self.engine.settled(self.server)
        enough = (self._begun + self._random.uniform(0.2, 0.8)) * self._messages / self._rounds
        self.go_on()
        self._wait(lambda: self._seen.sent >= enough, DONE_WITHIN_S, "the producer stands still")

    def _strike(self, number: int, fault: Fault) -> None:
        before = set(self._seen.undone)
        fault.strike(self)
        self._look()
        over = time.monotonic()
        self._soon(
            lambda: not (before & self._seen.undone.keys()) and self._all_work(over), self.lease_s + WAITED_S
        )
        self._say(
            f"{number + 1}/{len(self._faults)} {fault.title}: {self._seen.sent} sent, {self._seen.done} done, "
            f"{len(before & self._seen.undone.keys())} from before it are not"
        )

    def _all_work(self, since: float) -> bool:
        """Return whether each consumer has received since then; a worker with a pool says once that it is there."""
        since = 0.0 if self.side.pool else since
        return all(self._seen.received.get(str(client.pid), 0.0) > since for client in self.consumers)

    def _finish(self) -> None:
        self._wait(lambda: self._seen.sent >= self._messages, DONE_WITHIN_S, "the producer stands still")
        self._soon(lambda: not self._seen.undone, DONE_WITHIN_S)
        time.sleep(self.lease_s + LATE_S)

    def _soon(self, holds: Callable[[], object], within_s: float) -> bool:
        end = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
            self._look()
        return True

    def _wait(self, holds: Callable[[], object], within_s: float, otherwise: str) -> None:
        if not self._soon(holds, within_s):
            logs = "\n".join(f"{client.log}:\n{client.log.read_text()[-1500:]}" for client in self.clients)
            raise RuntimeError(f"{otherwise} for {within_s:g} s: {self._seen}\n{logs}")

    def _look(self) -> None:
        self._seen.add(self._tail.new())
        for client in self.clients:
            if client.ended and not (client is self.producer and self._seen.sent >= self._messages):
                self.ended_by_themselves += 1
                client.start()


class _Seen:
    """The state of the run, by the journal so far."""

    def __init__(self) -> None:
        self.sent = 0
        self.undone: dict[str, float] = {}
        self._done: set[str] = set()
        self.received: dict[str, float] = {}
        self.working: set[int] = set()
        self.errors = 0

    @property
    def done(self) -> int:
        return len(self._done)

    def __str__(self) -> str:
        return f"{self.sent} sent, {self.done} done"

    def add(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.event == "sent":
                self.sent += 1
                if line.name not in self._done:
                    self.undone[line.name] = line.at
            elif line.event == "done":
                self._done.add(line.name)
                self.undone.pop(line.name, None)
                self.working.discard(int(line.process))
            elif line.event in {"taken", "idle"}:
                self.received[line.process] = line.at
                self.working.add(int(line.process))
            elif line.event in ERRORS:
                self.errors += 1


@contextmanager
def _small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
