"""The faults: each strikes a running cell once, and leaves everything running again."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from reliability.journal import EVERYBODY

if TYPE_CHECKING:
    from reliability.cell import Cell

LONGER_S = 1.5
"""A pause, or a silence, is so much longer than the lease."""
DOWN_S = 0.2
FULL_S = 1.5
FULL_AT_MOST_S = 20.0
"""A disk stays full until the engine has told a process of it: on a busy machine that takes longer."""


@dataclass(frozen=True)
class Fault:
    """A kind of fault.

    Args:
        title: As on the page.
        strike: Does it once.
        needs: `network`: each process reaches the server through a proxy of its own; `disk`: the engine's data is on
            a small disk of its own; `pool`: a worker has processes.
    """

    title: str
    strike: Callable[["Cell"], None]
    needs: Literal["", "network", "disk", "pool"] = ""


def _kill_worker(cell: "Cell") -> None:
    victim = cell.victim()
    with cell.fault(victim.family()):
        victim.kill()
    victim.start()


def _kill_child(cell: "Cell") -> None:
    pid = cell.working_child()
    with cell.fault([pid]):
        os.kill(pid, signal.SIGKILL)


def _kill_broker(cell: "Cell") -> None:
    with cell.fault([EVERYBODY], outage=True):
        cell.server.kill()
        time.sleep(DOWN_S)
        cell.server.start()


def _cut(cell: "Cell") -> None:
    with cell.fault([EVERYBODY]):
        for client in cell.clients:
            client.proxy.cut()


def _black_hole(cell: "Cell") -> None:
    victims = [cell.victim(), cell.producer]
    with cell.fault([pid for client in victims for pid in client.family()]):
        for client in victims:
            client.proxy.go_silent()
        time.sleep(cell.lease_s + LONGER_S)
    for client in victims:
        client.proxy.speak()
        client.proxy.cut()


def _pause(cell: "Cell") -> None:
    victim = cell.victim()
    with cell.fault(victim.family()):
        victim.signal(signal.SIGSTOP)
        time.sleep(cell.lease_s + LONGER_S)
        victim.signal(signal.SIGCONT)


def _fill_disk(cell: "Cell") -> None:
    ballast = cell.disk / "ballast"
    before = cell.errors()
    with cell.fault([EVERYBODY], outage=True):
        with ballast.open("wb", buffering=0) as file:
            _take_all_room(file)
            cell.go_on()
            began = time.monotonic()
            while _lasts(time.monotonic() - began, is_seen=cell.errors() > before):
                # What others free meanwhile is taken too.
                _take_all_room(file)
                time.sleep(0.005)
        ballast.unlink()
        if cell.server is not None:
            cell.engine.freed(cell.server)


def _lasts(past_s: float, *, is_seen: bool) -> bool:
    return past_s < (FULL_S if is_seen else FULL_AT_MOST_S)


def _take_all_room(file: IO[bytes]) -> None:
    for piece in (1 << 22, 1 << 16, 1 << 12):
        with suppress(OSError):  # less than a piece is left
            while True:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)


FAULTS: dict[str, Fault] = {
    "worker-killed": Fault("worker killed", _kill_worker),
    "child-killed": Fault("pool process killed", _kill_child, needs="pool"),
    "broker-killed": Fault("broker killed and restarted", _kill_broker),
    "connection-cut": Fault("all connections cut", _cut, needs="network"),
    "black-hole": Fault("black hole", _black_hole, needs="network"),
    "consumer-paused": Fault("consumer paused past its lease", _pause),
    "disk-full": Fault("disk full", _fill_disk, needs="disk"),
}
