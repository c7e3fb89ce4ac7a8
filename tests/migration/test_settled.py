"""The cache of settled files: valid only for the same file, and only if that was old enough."""

from __future__ import annotations

import os
import time

import pytest

from capa_migration.rewrite.settled import SettledFiles, stamp

OLD_NS = 10**18


@pytest.fixture
def file(tmp_path):
    """Return a file that was last written long ago."""
    path = tmp_path / "a.py"
    path.write_bytes(b"import os\n")
    os.utime(path, ns=(OLD_NS, OLD_NS))
    return path


@pytest.fixture
def remembered(tmp_path):
    """Remember the files of the tree as clean, and return the files that a later run has to read."""

    def run(*names: str, between: object = lambda: None) -> set[str]:
        first = SettledFiles(str(tmp_path / "settled"), "options")
        for name in names:
            first.add(name, stamp(str(tmp_path / name)))
        first.save([], [".py"], "")
        between()
        return set(SettledFiles.open(str(tmp_path / "settled"), "options").not_clean(str(tmp_path), names))

    return run


def test_a_file_that_has_not_changed_needs_no_look(file, remembered):
    assert set() == remembered("a.py")


def test_a_change_that_keeps_size_and_time_is_seen(file, remembered):
    def change() -> None:
        time.sleep(0.01)  # more than one tick of the clock that stamps inodes
        file.write_bytes(b"import re\n")
        os.utime(file, ns=(OLD_NS, OLD_NS))

    assert {"a.py"} == remembered("a.py", between=change)


def test_a_file_that_took_the_place_of_another_is_seen(file, tmp_path, remembered):
    def replace() -> None:
        time.sleep(0.01)
        (tmp_path / "new").write_bytes(b"import re\n")
        os.utime(tmp_path / "new", ns=(OLD_NS, OLD_NS))
        (tmp_path / "new").replace(file)

    assert {"a.py"} == remembered("a.py", between=replace)


def test_a_file_in_an_inode_that_was_freed_is_seen(file, remembered):
    def recreate() -> None:
        time.sleep(0.01)
        file.unlink()
        file.write_bytes(b"import re\n")  # most file systems give the same inode again
        os.utime(file, ns=(OLD_NS, OLD_NS))

    assert {"a.py"} == remembered("a.py", between=recreate)


@pytest.mark.parametrize("ahead_s", [0, 3600])
def test_a_file_written_just_now_or_after_the_clock_went_back_is_not_remembered(file, remembered, ahead_s):
    written_ns = time.time_ns() + ahead_s * 10**9
    os.utime(file, ns=(written_ns, written_ns))

    assert {"a.py"} == remembered("a.py")


def test_other_options_remember_nothing(file, tmp_path, remembered):
    remembered("a.py")

    assert {"a.py"} == set(
        SettledFiles.open(str(tmp_path / "settled"), "others").not_clean(str(tmp_path), ["a.py"])
    )


def test_a_missing_file_is_not_examined(file, remembered):
    assert set() == remembered("a.py", between=file.unlink)
