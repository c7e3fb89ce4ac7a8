"""A disk that is full before or amid a rewrite loses no byte: on a small disk of the test's own."""

from __future__ import annotations

import os
import subprocess

import pytest
from rewrite_safety.tree import Tree

DISK = 4 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
# From no room at all, over room for a part of the journal, to room for all but the largest files.
PAGES_LEFT = range(9)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "capa-test", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be made here, which takes root: {mounted.stderr.strip()}")
    try:
        yield Tree(disk / "tree")
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.fixture(autouse=True)
def _room_again(tree):
    yield
    _ballast(tree).unlink(missing_ok=True)
    while tree.records():
        tree.run("undo")
    tree.reset()


def _ballast(tree):
    return tree.root.parent / "ballast"


def _fill(tree, *, leave):
    """Fill the disk up to *leave* pages."""
    free = os.statvfs(tree.root).f_bavail
    with _ballast(tree).open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, free - leave) * PAGE)


@pytest.mark.parametrize("leave", PAGES_LEFT)
def test_apply_on_a_full_disk_loses_nothing_and_is_finished_when_there_is_room(tree, leave):
    _fill(tree, leave=leave)
    ran = tree.run("apply")
    assert ([], 2) == (tree.torn(), ran.code)
    assert "No space left on device" in ran.out + ran.err
    assert "nothing was changed" not in ran.err or tree.before == tree.states()
    _ballast(tree).unlink()

    again = tree.run("apply")

    assert (0, tree.after, []) == (again.code, tree.states(), tree.left_over())
    tree.run("undo")
    tree.run("undo")  # the part written before the disk was full is a rewrite of its own
    assert tree.before == tree.states()


@pytest.mark.parametrize("leave", PAGES_LEFT)
def test_undo_on_a_full_disk_loses_nothing_and_is_finished_when_there_is_room(tree, leave):
    tree.run("apply")
    _fill(tree, leave=leave)
    ran = tree.run("undo")
    assert ([], []) == (tree.torn(), tree.left_over())
    assert ran.code == 0 or "No space left on device" in ran.out + ran.err
    assert (ran.code == 0) is (tree.before == tree.states())
    _ballast(tree).unlink()

    tree.run("undo")

    assert (tree.before, 0) == (tree.states(), tree.records())
