"""Kill `capa migrate` at a chosen system call, or let that call fail, and check the files that are left.

strace counts the calls of each name from the start of the process; a first run, which nothing disturbs, tells which of
them concern the tree. After each fault the tree is looked at, the next run is made, and all is taken back: whatever
is not as it must be is counted by its name.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from rewrite_safety.tree import Ran, Tree

KILLED = (
    "openat", "write", "fsync", "rename", "unlink", "mkdir", "rmdir", "ftruncate",
    "fchmod", "fchown", "fsetxattr", "fremovexattr", "flock",
)  # fmt: skip
FAILED = (*KILLED, "close")
ERRORS = ("ENOSPC", "EIO", "EACCES", "EROFS", "EINTR")
ACTIONS = ("apply", "undo")

_CAPA = [sys.executable, "-c", "import sys; from capa_migration.cli import main; sys.exit(main())", "migrate"]
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")


class Point(NamedTuple):
    """A system call of one action: the *number*-th *call*, and the error that it returns; without an error it kills."""

    action: str
    call: str
    number: int
    error: str = ""

    def __str__(self) -> str:
        return f"{self.action}-{self.call}-{self.number}{'-' * bool(self.error)}{self.error}"


def kills(tree: Tree) -> list[Point]:
    """Return every call that opens or changes something in the tree as a point at which to kill, in order."""
    return [
        Point(action, call, number) for action in ACTIONS for call, number, _ in _calls(tree, action, KILLED)
    ]


def failures(tree: Tree) -> list[Point]:
    """Return every call that writes to the tree as one that fails: on the journal with each error, else in turn.

    The calls on one file are the calls on the next, so that each of them meets each error.
    """
    return [
        Point(action, call, number, error)
        for action in ACTIONS
        for call, number, on_journal in _calls(tree, action, FAILED)
        for error in (ERRORS if on_journal else [ERRORS[number % len(ERRORS)]])
    ]


def sample(points: list[Point], count: int, offset: int) -> list[Point]:
    """Return *count* of *points*, evenly spread, the first of them at *offset* into its share."""
    share = max(1, len(points) // count)
    return points[offset % share :: share][:count]


def strike(tree: Tree, points: Iterable[Point]) -> Iterator[tuple[Point, Counter[str]]]:
    """Let each of *points* happen to *tree* and yield the outcome, by name; afterwards the tree is as before."""
    for point in points:
        if point.action == "undo":
            tree.run("apply")
        ran = _under_strace(
            tree, point.action, [f"-einject={point.call}:{_fault(point)}:when={point.number}"]
        )
        found = Counter({"points": 1, "torn": len(tree.torn())})
        found.update(_told(tree, point, ran) if point.error else {"killed": int(ran.code == -9)})
        found.update(_next_run(tree, "apply" if point.number % 2 else "undo"))
        found.update(_taken_back(tree))
        tree.reset()
        yield point, found


def _told(tree: Tree, point: Point, ran: Ran) -> dict[str, int]:
    """Count the untrue messages of *ran*."""
    meant, other = (tree.after, tree.before) if point.action == "apply" else (tree.before, tree.after)
    now = tree.states()
    untrue = (ran.code == 0 and now != meant) or ("nothing was changed" in ran.err and now != other)
    return {
        "failed": int(ran.code != 0),
        "tracebacks": int("Traceback" in ran.err or ran.code < 0),
        "untrue": int(untrue),
        "silent": int(ran.code != 0 and not ran.out + ran.err),
    }


def _next_run(tree: Tree, action: str) -> dict[str, int]:
    ran = tree.run(action)
    whole = tree.states() == (tree.after if action == "apply" else tree.before)
    good = ran.code == 0 and whole
    return Counter(
        {"recovered": int(good), "not recovered": int(not good), "left over": len(tree.left_over())}
    )


def _taken_back(tree: Tree) -> dict[str, int]:
    # Two rewrites, if the one that a fault cut in half and the next run each did a part.
    for _ in range(2):
        tree.run("undo")
    good = tree.states() == tree.before and not tree.records()
    return {"undone": int(good), "not undone": int(not good)}


def _fault(point: Point) -> str:
    return f"error={point.error}" if point.error else "signal=SIGKILL"


def _calls(tree: Tree, action: str, names: tuple[str, ...]) -> list[tuple[str, int, bool]]:
    """Return the calls of *names* that *action* makes on the tree.

    Each with its number among those of its name, and whether it is on what Capa keeps there.
    """
    if action == "undo":
        tree.run("apply")
    with tempfile.NamedTemporaryFile("r") as log:
        _under_strace(tree, action, ["-y", f"-o{log.name}"], names)
        lines = log.readlines()
    tree.run("undo")
    tree.reset()
    seen: Counter[str] = Counter()
    found = []
    for line in lines:
        if call := _CALL.match(line):
            seen[call[1]] += 1
            if str(tree.root) in line:
                found.append((call[1], seen[call[1]], f"{tree.root}/.capa-migrate" in line))
    return found


def _under_strace(tree: Tree, action: str, options: list[str], names: tuple[str, ...] = FAILED) -> Ran:
    # Faster, as strace is not asked about other calls; but with it, no signal is delivered (strace 6.1).
    fast = () if any("signal=" in option for option in options) else ("--seccomp-bpf",)
    command = ["strace", "-f", *fast, "-qqq", f"-etrace={','.join(names)}", *options]
    if not any(option.startswith("-o") for option in options):
        command.append(f"-o{os.devnull}")
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # so that a call has the same number in each run
    ran = subprocess.run(
        [*command, *_CAPA, action, str(tree.root)],
        capture_output=True,
        env=environment,
        cwd="/",
        stdin=subprocess.DEVNULL,
    )
    return Ran(ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace"))
