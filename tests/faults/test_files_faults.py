"""Kills and a full disk amid a put: nothing acknowledged is lost, and no file is seen in part."""

import os
import signal
import subprocess
import sys
import time

import pytest

from capa_core.blocks.files import Files
from capa_core.components.file.files import LocalFiles, LocalFilesSettings
from capa_core.conformance._processes import Child
from capa_core.errors import ExhaustedError

WRITER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from capa_core.blocks.files import Files
from capa_core.components.file.files import LocalFiles, LocalFilesSettings

folder, name = Path(sys.argv[1]), sys.argv[2]
files = Files(LocalFiles(LocalFilesSettings(path=folder)))

def write(thread):
    for number in range(1_000_000):
        text = f"{name}-{thread}-{number}"
        for key in (f"{text}/new", f"shared/{number % 3}"):
            files.put(key, (text.encode() * 5_000 for _ in range(5)), metadata={"text": text})
        sys.stdout.write(text + "\\n")  # one write of one line: the acknowledgement
        sys.stdout.flush()

with ThreadPoolExecutor(3) as pool:
    list(pool.map(write, range(3)))
"""
STEPS = ("open", "mkdir", "write", "utime", "fsync", "rename", "link", "unlink", "stat", "fstat")


def opened(folder):
    return Files(LocalFiles(LocalFilesSettings(path=folder)))


def is_whole(files, key):
    info = files.stat(key)
    return info.metadata["text"].encode() * 25_000 == files.get(key)


def test_every_acknowledged_file_survives_kills_and_none_is_seen_in_part(tmp_path):
    acknowledged = set()
    for life in range(4):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, f"{life}{n}"], stdout=subprocess.PIPE)
            for n in range(2)
        ]
        for writer in writers:
            writer.stdout.readline()
        time.sleep(0.2)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            lines = writer.communicate()[0].decode().split("\n")
            acknowledged.update(lines[:-1])  # the last may be torn

    with opened(tmp_path) as files:
        seen = [each.key for each in files.scan()]
        torn = [key for key in seen if not is_whole(files, key)]
        files.put("after", b"")
        left = list((tmp_path / ".capa-tmp").iterdir())

    assert len(acknowledged) > 20
    assert (set(), [], []) == ({f"{text}/new" for text in acknowledged} - set(seen), torn, left)


@pytest.mark.parametrize("key", ["k", "new/folder", "k/below"])
def test_a_kill_at_each_step_of_a_put_leaves_the_old_or_the_new(tmp_path, key):
    """Of one that replaces, of one that makes folders, and of one whose folder has the name of a file."""
    states = set()
    for step in range(1, 200):
        folder = tmp_path / str(step)
        with opened(folder) as files:
            files.put("k", b"old", metadata={"is": "old"})
            ended = dies_at(step, lambda: files.put(key, b"new", metadata={"is": "new"}))
            found = {
                each.key: (files.get(each.key), files.stat(each.key).metadata["is"]) for each in files.scan()
            }
            prefixes = files.page(delimiter="/").prefixes
        with opened(folder) as next_one:
            next_one.put("after", b"")

        assert list((folder / ".capa-tmp").iterdir()) == []
        assert len(prefixes) == sum("/" in each for each in found)
        states.add(tuple(sorted(found.items())))
        if ended:
            break

    old, new = ("k", (b"old", "old")), (key, (b"new", "new"))
    assert {(old,), (new,) if key == "k" else tuple(sorted((old, new)))} == states
    assert step > 10


def dies_at(step, call):
    """Return whether *call* ends in a child that is killed before that step of it."""
    left = step

    def counted(function):
        def stepping(*args, **kwargs):
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return stepping

    def child():
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        call()
        return True

    running = Child(child)
    try:
        return running.result()
    except AssertionError as ended:
        if f"status {signal.SIGKILL.value}" not in str(ended):
            raise
        return False


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 2 MB."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_put_on_a_full_disk_leaves_what_was_there(small_disk):
    with opened(small_disk / "files") as files:
        files.put("k", b"old" * 1000, metadata={"is": "old"})
        for content in (bytes(3 << 20), iter([bytes(1 << 20)] * 3)):
            for key in ("k", "new/folder"):
                with pytest.raises(ExhaustedError, match="No space left"):
                    files.put(key, content if isinstance(content, bytes) else iter([bytes(1 << 20)] * 3))
        found = [each.key for each in files.scan()]
        info, left = files.stat("k"), list((small_disk / "files/.capa-tmp").iterdir())
        files.put("k", bytes(1 << 20))

    assert (["k"], []) == (found, left)
    assert (3000, {"is": "old"}) == (info.size, info.metadata)


@pytest.mark.parametrize("pages_left", range(5))
def test_a_disk_that_fills_at_any_step_leaves_the_old_or_the_new(small_disk, pages_left):
    page = os.sysconf("SC_PAGE_SIZE")
    with opened(small_disk / "files") as files:
        files.put("k", b"old", metadata={"is": "old"})
        free = os.statvfs(small_disk).f_bavail
        with (small_disk / "ballast").open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, (free - pages_left) * page)
        stored = True
        try:
            files.put("k", b"new", metadata={"is": "new"})
        except ExhaustedError:
            stored = False
        expected = "new" if stored else "old"

        assert (expected.encode(), expected) == (files.get("k"), files.stat("k").metadata["is"])
