"""The files that the embedded components keep in `.capa` are for their owner alone."""

from __future__ import annotations

import os
import stat

import pytest

from capa_core import Runtime
from capa_core.blocks.configuration import Scope
from capa_core.blocks.configuration._snapshot_cache import SnapshotCache
from capa_core.blocks.configuration.driver import Snapshot


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_no_folder_or_file_is_open_to_others(tmp_path, usual_umask):
    with Runtime(start=tmp_path, environ={}) as runtime:
        runtime.state().put("k", b"v")
        runtime.pubsub().publish("topic", b"x")
        runtime.log().append("topic", b"x")
        runtime.files().put("folder/file", b"x", metadata={"a": "b"})
        with runtime.lock().lock("l"):
            pass
        cache = SnapshotCache(runtime.folder, "default")
        cache.save(Scope(application="shop"), Snapshot({}, "1"))

        kept = [runtime.folder, *runtime.folder.rglob("*")]
        assert {"state.db", "pubsub.db", "log.db", "lock.db", "configuration", "files", ".gitignore"} <= {
            path.name for path in kept
        }
        assert [] == [path for path in kept if stat.S_IMODE(path.lstat().st_mode) & 0o077]
