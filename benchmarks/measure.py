"""Measurement: time Capa and its peer in turn, and compare the figures with a bar.

A benchmark is a module in this folder with a function `run() -> list[Row]`:

    def run() -> list[Row]:
        with local_server() as url, requests.Session() as theirs, capa_requests.Session() as ours:
            figures = compare(lambda: theirs.get(url).json(), lambda: ours.get(url).json())
        return [Row("GET + .json(), keep-alive", "requests.Session", figures, ratio_at_most(0.40))]

Values are in SI units: seconds, or a rate `per second`, or bytes; the table scales them for reading.
Absolute figures drift with the machine, so the peer and Capa always take turns within one run.
"""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

QUIET: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}

Unit = Literal["s", "/s", "B"]
Command = Sequence[str | os.PathLike[str]]
Environment = Mapping[str, str] | None


@dataclass(frozen=True)
class Bar:
    """A target for our figure: a ratio to the peer, a difference from the peer, or a value."""

    limit: float
    of: Literal["ratio", "difference", "ours"]
    at_least: bool = False

    def met_by(self, peer: float, ours: float) -> bool:
        """Return whether the pair of figures reaches the bar."""
        seen = {"ratio": ours / peer, "difference": ours - peer, "ours": ours}[self.of]
        return seen >= self.limit if self.at_least else seen <= self.limit


def ratio_at_most(limit: float) -> Bar:
    """Return a bar for ours / peer of at most *limit*: for times, where less is better."""
    return Bar(limit, "ratio")


def ratio_at_least(limit: float) -> Bar:
    """Return a bar for ours / peer of at least *limit*: for rates, where more is better."""
    return Bar(limit, "ratio", at_least=True)


def difference_at_most(limit: float) -> Bar:
    """Return a bar for a cost of at most *limit* (in the unit of the row) above the peer's."""
    return Bar(limit, "difference")


def ours_at_most(limit: float) -> Bar:
    """Return a bar for our own figure of at most *limit*, regardless of the peer."""
    return Bar(limit, "ours")


@dataclass(frozen=True)
class Figures:
    """The medians of both sides, measured in turn."""

    peer: float
    ours: float


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        work: The measured operation, in the words of a user.
        peer: The library that is compared.
        figures: Both medians, in *unit*.
        bar: The target.
        unit: Seconds per operation, operations per second, or bytes.
        note: The conditions of the figures (sizes, counts, settings).
    """

    work: str
    peer: str
    figures: Figures
    bar: Bar
    unit: Unit = "s"
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the peer's figure."""
        return self.figures.ours / self.figures.peer

    @property
    def met(self) -> bool:
        """Whether the bar is reached."""
        return self.bar.met_by(self.figures.peer, self.figures.ours)


def compare(
    peer: Callable[[], object], ours: Callable[[], object], *, rounds: int = 9, round_s: float = 0.15
) -> Figures:
    """Time one call of each side: warm both up, alternate them, and return the medians.

    Args:
        peer: One operation of the peer.
        ours: The same operation of ours.
        rounds: The number of turns of each side.
        round_s: The approximate length of one turn; the number of calls in it is found by doubling.
    """
    calls = {side: _calls_in(side, round_s) for side in (peer, ours)}
    return interleave(
        lambda: _per_call(peer, calls[peer]), lambda: _per_call(ours, calls[ours]), rounds=rounds
    )


def interleave(peer: Callable[[], float], ours: Callable[[], float], *, rounds: int = 5) -> Figures:
    """Alternate both sides, each of which measures itself, and return the medians.

    For work that needs a new set-up each time (drain a queue, start a process): each callable does one
    turn and returns its figure. The order alternates, so that neither side always has a warm cache.
    """
    seen: dict[str, list[float]] = {"peer": [], "ours": []}
    turns = [("peer", peer), ("ours", ours)]
    for number in range(rounds):
        for name, side in turns if number % 2 == 0 else reversed(turns):
            seen[name].append(side())
    return Figures(peer=median(seen["peer"]), ours=median(seen["ours"]))


def elapsed_s(work: Callable[[], object]) -> float:
    """Run *work* once and return its wall-clock seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def command_cpu_s(command: Command, *, ok: Sequence[int] = (0,), environment: Environment = None) -> float:
    """Run *command* silently and return the user and system CPU seconds of it and its children.

    Raises:
        RuntimeError: It ended with a code that is not in *ok*, so its time is meaningless.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, **QUIET, env=environment, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in ok:
        raise RuntimeError(f"{list(map(str, command))} ended with {done.returncode}: {done.stderr[-500:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def command_wall_s(command: Command, *, environment: Environment = None) -> float:
    """Run *command* silently and return the seconds until it ended.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    return elapsed_s(lambda: subprocess.run(command, **QUIET, env=environment, check=True))


@contextmanager
def bytecode_kept() -> Iterator[dict[str, str]]:
    """Yield an environment for commands in which Python keeps bytecode, as after `pip install`.

    Without it, a shell that sets `PYTHONDONTWRITEBYTECODE` makes each command compile our sources again.
    The first command in it compiles: exclude it from the figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        yield kept | {"PYTHONPYCACHEPREFIX": folder}


def _per_call(work: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def _calls_in(work: Callable[[], object], round_s: float) -> int:
    calls = 1
    while _per_call(work, calls) * calls < round_s:
        calls *= 2
    return calls
