"""Temporary files of tests in memory: every commit of SQLite, Redis and RabbitMQ would wait for the disk.

A pytest plug-in. Processes are killed in tests, the machine is not: what they lose is the same on both. Where TMPDIR is
set, or the machine has too little room for it, the files go where they would have gone.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

FOLDER = Path("/dev/shm")
ROOM = 4 << 30  # a run needs about 1 GiB; some containers have 64 MiB


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Set TMPDIR for this process and for all that it starts."""
    if "TMPDIR" not in os.environ and has_room(FOLDER):
        os.environ["TMPDIR"] = str(FOLDER)
        tempfile.tempdir = None  # it may have been looked up


def has_room(folder: Path) -> bool:
    """Return whether tests can write to *folder*, start programs in it, and have room."""
    if not os.access(folder, os.W_OK) or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(folder).free >= ROOM
