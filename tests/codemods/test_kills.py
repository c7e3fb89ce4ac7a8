"""A run killed at any file call leaves whole files, and the next run leaves nothing of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from rewrite_safety.plans import AFTER, BEFORE, planned
from rewrite_safety.tree import MEMORY

from capa_codemods.write.apply import apply_files, recover_unfinished, undo_newest
from capa_codemods.write.journal import Journal

CALLS = (
    "open",
    "fsync",
    "replace",
    "rename",
    "unlink",
    "mkdir",
    "makedirs",
    "rmdir",
    "fchmod",
    "listdir",
    "lstat",
)
MOST = 10_000
NAMES = tuple(f"{folder}/{number}.py" for folder in ("a", "b") for number in range(3))

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, to kill a child at a chosen call"),
    pytest.mark.timeout(180),  # some fork some hundred times
]


def _apply(root: Path) -> None:
    journal = Journal(str(root))
    with journal.lock():
        recover_unfinished(journal)
        apply_files(journal, planned(*NAMES))


def _undo(root: Path) -> None:
    journal = Journal(str(root))
    with journal.lock():
        if recover_unfinished(journal) is None:
            undo_newest(journal)


def _lock(root: Path) -> None:
    with Journal(str(root)).lock():
        pass


def _make(root: Path) -> None:
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(BEFORE)


def _kill_at(point: int, calls: Sequence[str]) -> None:
    """Kill this process before or after the n-th of *calls* from now on."""
    left = [point]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object, **options: object) -> object:
            _tick(left)
            result = call(*arguments, **options)
            _tick(left)
            return result

        return run

    for name in calls:
        setattr(os, name, counted(getattr(os, name)))


def _tick(left: list[int]) -> None:
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)


def _killed(action: Callable[[Path], None], root: Path, point: int, calls: Sequence[str] = CALLS) -> bool:
    """Run *action* in a child that dies at *point*, and return whether it died."""
    child = os.fork()
    if child == 0:
        try:
            _kill_at(point, calls)
            action(root)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _kill_halfway(root: Path) -> None:
    """Kill a run that applies when the plan is in its place, and two files."""
    _make(root)
    assert _killed(_apply, root, 6, ["replace"])


def _tree(root: Path) -> dict[str, bytes]:
    files = (
        path
        for path in root.rglob("*")
        if path.is_file() and {".capa", ".capa-migrate"}.isdisjoint(path.relative_to(root).parts)
    )
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def _check_whole(root: Path) -> None:
    assert all((root / name).read_bytes() in {BEFORE, AFTER} for name in NAMES)


def _check_nothing_left(root: Path) -> None:
    _undo(root)

    assert dict.fromkeys(NAMES, BEFORE) == _tree(root)
    assert [] == Journal(str(root)).records()


def kill_at_every_call_of_apply(root: Path, point: int) -> bool:
    """Kill a run at *point*, check what it leaves, and return whether it died; so do the others."""
    _make(root)

    died = _killed(_apply, root, point)

    _check_whole(root)
    _check_nothing_left(root)
    return died


def kill_at_every_call_of_undo(root: Path, point: int) -> bool:
    _make(root)
    _apply(root)

    died = _killed(_undo, root, point)

    _check_whole(root)
    _check_nothing_left(root)
    return died


def kill_while_the_journal_of_an_earlier_version_is_moved(root: Path, point: int) -> bool:
    _make(root)
    _apply(root)
    (root / ".capa").mkdir()
    (root / ".capa-migrate").rename(root / ".capa/migrate")

    died = _killed(_lock, root, point)

    records = Journal(str(root)).records()
    assert [(1, "applied")] == [(record.number, record.state) for record in records]
    assert sorted(NAMES) == sorted(entry.path for entry in records[0].entries())
    _check_nothing_left(root)
    assert not (root / ".capa/migrate").exists()
    return died


def kill_while_recovering_from_a_kill(root: Path, point: int) -> bool:
    _kill_halfway(root)
    assert Journal(str(root)).records("applying")

    died = _killed(_undo, root, point)

    _check_whole(root)
    _check_nothing_left(root)
    return died


@pytest.mark.parametrize(
    ("kill", "fewest"),
    [
        (kill_at_every_call_of_apply, 50),
        (kill_at_every_call_of_undo, 50),
        (kill_while_the_journal_of_an_earlier_version_is_moved, 20),
        (kill_while_recovering_from_a_kill, 20),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_killed_at_each_point(kill, fewest):
    # In a program of its own: a fork copies the page tables of a process, and those of one that runs tests are large.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, __file__, kill.__name__], env=environment, capture_output=True, text=True
    )

    assert 0 == done.returncode, done.stderr
    assert fewest < int(done.stdout) < MOST


def test_apply_after_a_kill_restores_the_files_first(tmp_path):
    _kill_halfway(tmp_path)

    _apply(tmp_path)

    assert dict.fromkeys(NAMES, AFTER) == _tree(tmp_path)


def test_file_edited_after_a_kill_keeps_the_edit(tmp_path):
    _kill_halfway(tmp_path)
    done, _ = [name for name in NAMES if (tmp_path / name).read_bytes() == AFTER]
    (tmp_path / done).write_bytes(AFTER + b"x = 1\n")

    _undo(tmp_path)

    assert {**dict.fromkeys(NAMES, BEFORE), done: BEFORE + b"x = 1\n"} == _tree(tmp_path)


def main(kill: Callable[[Path, int], bool]) -> int:
    """Return the first point that *kill* does not reach; the runs are in memory, where settled writes take no time."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        return next((point for point in range(MOST) if not kill(Path(folder, str(point)), point)), MOST)


if __name__ == "__main__":
    print(main(globals()[sys.argv[1]]))
