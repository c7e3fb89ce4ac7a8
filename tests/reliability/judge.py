"""Judge of a run with faults, from its journal alone, and with nothing of Capa.

    python -I tests/reliability/judge.py JOURNAL [UNSEEN_S [LEASE_S]]

Prints one JSON object:

    sent, done, lost  messages whose publishing was confirmed; of these, those that were done, and those that were not
    unconfirmed       messages that were done although nobody confirmed their publishing, as at-least-once allows
    duplicated        how often any message was done again
    in_flight         the most that may be done again, summed over the faults: what the processes that were hit were
                      publishing, or had taken and not settled
    overdue           of the duplicated: those of messages that were in flight at no fault, but that a process held for
                      longer than its lease, as when the machine stands still
    unexplained       of the duplicated: those that are neither
    errors            messages that could not be published or settled, and calls that could not receive
    troubles          for each fault, how many of these errors there were while it lasted
    recoveries        for each fault, the seconds until all that had been sent before it was done: from the beginning of
                      a fault, from the end of an outage; `null` where it never was

UNSEEN_S is for acknowledgements that no engine confirms: a message counts as in flight for so long after it was
settled, or was done where the journal tells nothing of settling.
"""

import json
import math
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence

sys.path.insert(0, os.path.dirname(__file__))  # noqa: PTH120 - `-I` leaves the script's folder out, and is all for that

from journal import ERRORS, EVERYBODY, Line, Tail


class Fault:
    """A fault or an outage: whom it hit, and from when to when."""

    def __init__(self, line: Line) -> None:
        self.name = line.name
        self.victims = set(line.process.split(","))
        self.is_outage = line.event == "outage"
        self.began = line.at
        self.ended = math.inf

    def hit(self, process: str) -> bool:
        """Return whether it hit *process*."""
        return EVERYBODY in self.victims or process in self.victims


def judge(lines: Sequence[Line], unseen_s: float = 0.0, lease_s: float = math.inf) -> dict[str, object]:
    """Return the counts of a whole journal."""
    faults = _faults(lines)
    sent = {line.name: line.at for line in lines if line.event == "sent"}
    done: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if line.event == "done":
            done[line.name].append(line.at)
    exposed = _exposed(lines, faults, done, unseen_s)
    again = {name: len(times) - 1 for name, times in done.items() if len(times) > 1}
    late = _overdue(lines, lease_s)
    return {
        "sent": len(sent),
        "done": len(sent.keys() & done.keys()),
        "lost": len(sent.keys() - done.keys()),
        "unconfirmed": len(done.keys() - sent.keys()),
        "duplicated": sum(again.values()),
        "in_flight": exposed.total(),
        "overdue": sum(count for name, count in again.items() if not exposed[name] and name in late),
        "unexplained": sum(count for name, count in again.items() if not exposed[name] and name not in late),
        "errors": _errors(lines),
        "faults": len(faults),
        "troubles": [
            _errors(line for line in lines if each.began <= line.at <= each.ended) for each in faults
        ],
        "recoveries": [_recovery(fault, sent, done) for fault in faults],
    }


def _errors(lines: Iterable[Line]) -> int:
    return sum(line.event in ERRORS for line in lines)


def _faults(lines: Iterable[Line]) -> list[Fault]:
    faults: dict[str, Fault] = {}
    for line in lines:
        if line.event in {"fault", "outage"}:
            faults[line.name] = Fault(line)
        elif line.event == "over":
            faults[line.name].ended = line.at
    return list(faults.values())


def _exposed(
    lines: Sequence[Line], faults: Sequence[Fault], done: Container[str], unseen_s: float
) -> Counter[str]:
    """Return at how many faults each message was in flight, of those that were ever done."""
    exposed: set[tuple[str, str]] = set()
    for name, process, began, ended in _flights(lines, unseen_s):
        exposed.update(
            (name, fault.name)
            for fault in faults
            if name in done and fault.hit(process) and began <= fault.ended and fault.began <= ended
        )
    return Counter(name for name, _ in exposed)


def _flights(lines: Sequence[Line], unseen_s: float) -> Iterator[tuple[str, str, float, float]]:
    """Yield who held which message from when to when: until it was settled, or somebody else had taken it."""
    open_flights: dict[str, dict[str, float]] = defaultdict(dict)
    settled = "settled" if any(line.event == "settled" for line in lines) else "done"
    late_s = {"sent": 0.0, "failed": 0.0, "unsettled": 0.0, settled: unseen_s}
    for line in lines:
        held = open_flights[line.name]
        if line.event in {"tried", "taken"}:
            for process in [other for other in held if other != line.process]:
                yield line.name, process, held.pop(process), line.at
            held[line.process] = line.at
        elif line.process in held and line.event in late_s:
            yield line.name, line.process, held.pop(line.process), line.at + late_s[line.event]
    for name, held in open_flights.items():
        yield from ((name, process, began, math.inf) for process, began in held.items())


def _overdue(lines: Sequence[Line], lease_s: float) -> set[str]:
    """Return the messages that a process may have held for longer than a lease.

    One that was taken may have come at any time since the process wrote before.
    """
    wrote: dict[str, tuple[float, float]] = {}
    since: dict[tuple[str, str], float] = {}
    found = set()
    for line in lines:
        last, before = wrote.get(line.process, (line.at, line.at))
        if line.at > last:  # the lines of one write have one time
            last, before = line.at, last
        wrote[line.process] = last, before
        holder = (line.name, line.process)
        if line.event == "taken":
            since[holder] = before
        elif (
            line.event in {"done", "settled", "unsettled"} and line.at - since.get(holder, line.at) > lease_s
        ):
            found.add(line.name)
    return found


def _recovery(fault: Fault, sent: dict[str, float], done: dict[str, list[float]]) -> float | None:
    since = fault.ended if fault.is_outage else fault.began
    waiting = [name for name, at in sent.items() if at < fault.began and not _done_before(done[name], fault)]
    last = max((done[name][0] if done[name] else math.inf for name in waiting), default=since)
    return max(0.0, round(last - since, 3)) if last < math.inf else None


def _done_before(times: Sequence[float], fault: Fault) -> bool:
    return bool(times) and times[0] < fault.began


if __name__ == "__main__":
    print(json.dumps(judge(Tail(sys.argv[1]).new(), *map(float, sys.argv[2:]))))
