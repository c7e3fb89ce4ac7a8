"""Files in a folder: no link leads out of it, nothing half is seen, and other programs may use it."""

import errno
import json
import os
import re
import signal
import stat
import threading
from contextlib import suppress

import pytest

from capa_core.blocks.files import Files
from capa_core.blocks.files.driver import FilePut
from capa_core.components.file import _tree, _writing
from capa_core.components.file.files import LocalFiles, LocalFilesSettings
from capa_core.conformance._processes import Child
from capa_core.errors import (
    CapaError,
    ConflictError,
    DataLossError,
    ExhaustedError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)


def opened(folder, **settings):
    return Files(LocalFiles(LocalFilesSettings(path=folder, **settings)))


@pytest.fixture
def root(tmp_path):
    return tmp_path / "files"


@pytest.fixture
def files(root):
    with opened(root) as files:
        files.put("kept", b"x")
        yield files


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_bytes(b"secret")
    return folder


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# Links


def test_a_link_to_a_file_is_no_file(files, root, outside):
    (root / "link").symlink_to(outside / "secret")

    assert (None, ["kept"]) == (files.stat("link"), [each.key for each in files.scan()])
    files.delete("link")
    files.put("link", b"mine")
    assert ({"secret": b"secret"}, b"mine") == (content(outside), files.get("link"))


def test_a_link_to_a_folder_is_no_folder(files, root, outside):
    (root / "link").symlink_to(outside)

    assert files.stat("link/secret") is None
    assert (["kept"], []) == (
        [each.key for each in files.scan()],
        list(files.page(delimiter="/").prefixes),
    )
    files.delete("link/secret")
    with pytest.raises(ConflictError, match="never followed"):
        files.put("link/new", b"x")
    assert {"secret": b"secret"} == content(outside)


def test_a_link_that_is_planted_between_check_and_use_leads_nowhere(files, root, outside, monkeypatch):
    """The folder is replaced by a link after it was opened, and before the file in it is."""
    files.put("folder/k", b"mine")
    find = _tree.open_folder

    def planted(outer, name):
        folder = find(outer, name)
        if name == "folder" and not (root / "folder").is_symlink():
            (root / "folder").rename(root / "moved")
            (root / "folder").symlink_to(outside)
        return folder

    monkeypatch.setattr(_tree, "open_folder", planted)
    files.put("folder/secret", b"mine")

    assert {"secret": b"secret"} == content(outside)
    assert b"mine" == (root / "moved/secret").read_bytes()


def test_links_planted_all_the_time_lead_nowhere(files, root, outside):
    """A thread swaps a folder for a link, as fast as it can."""
    ended = threading.Event()

    def swap():
        link, folder, aside = (root / name for name in ("link", "folder", "aside"))
        link.symlink_to(outside)
        while not ended.is_set():
            for source, target in ((folder, aside), (link, folder), (folder, link), (aside, folder)):
                if os.path.lexists(source):
                    with suppress(OSError):
                        source.rename(target)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(300):
            try:
                files.put("folder/secret", b"mine", metadata={"a": "b"})
                assert b"mine" == files.get("folder/secret")
                files.delete("folder/secret")
            except CapaError:
                continue
    finally:
        ended.set()
        swapping.join()

    assert {"secret": b"secret"} == content(outside)


def test_links_of_metadata_and_temporary_files_are_not_followed(files, root, outside):
    (root / ".capa-meta-k").symlink_to(outside / "secret")
    files.put("k", b"x", metadata={"a": "b"})
    (root / ".capa-tmp").rmdir()
    (root / ".capa-tmp").symlink_to(outside)

    assert {"a": "b"} == files.stat("k").metadata
    with pytest.raises(ConflictError, match="never followed"):
        files.put("k", b"x")
    assert {"secret": b"secret"} == content(outside)


def test_a_pipe_and_a_socket_are_no_files(files, root):
    os.mkfifo(root / "pipe")

    assert (None, ["kept"]) == (files.stat("pipe"), [each.key for each in files.scan()])


# Other programs


def test_files_have_the_names_of_their_keys(files, root):
    files.put("reports/2026 é.csv", b"a,b")

    assert b"a,b" == (root / "reports/2026 é.csv").read_bytes()


def test_a_file_of_another_program_is_read_and_listed(files, root):
    (root / "a").mkdir()
    (root / "a/b.txt").write_bytes(b"theirs")
    (root / "100%.txt").write_bytes(b"a name that no key has")
    (root / os.fsdecode(b"\xff")).write_bytes(b"a name that is no Unicode")

    assert (b"theirs", ["a/b.txt", "kept"]) == (files.get("a/b.txt"), [each.key for each in files.scan()])
    assert ("application/octet-stream", {}) == (
        files.stat("a/b.txt").content_type,
        files.stat("a/b.txt").metadata,
    )


def test_a_copy_of_the_folder_with_its_times_has_the_metadata(files, root, tmp_path):
    import shutil

    etag = files.put("a/k", b"x", metadata={"a": "b"})
    shutil.copytree(root, tmp_path / "copy")
    with opened(tmp_path / "copy") as copy:
        assert (etag, {"a": "b"}) == (copy.stat("a/k").etag, copy.stat("a/k").metadata)


def test_damaged_metadata_are_named_and_left(files, root):
    (root / ".capa-meta-kept").write_text("[]")
    with pytest.raises(DataLossError, match=".capa-meta-kept"):
        files.get("kept")

    assert "[]" == (root / ".capa-meta-kept").read_text()


# Places and rights


def test_files_are_for_their_owner_alone_unless_told_otherwise(tmp_path):
    before = os.umask(0o022)
    try:
        for private, modes in ((True, {0o700, 0o600}), (False, {0o755, 0o644})):
            with opened(tmp_path / str(private), private=private) as files:
                files.put("a/b", b"x", metadata={"a": "b"})
            kept = [tmp_path / str(private), *(tmp_path / str(private)).rglob("*")]

            assert modes == {stat.S_IMODE(path.stat().st_mode) for path in kept}
    finally:
        os.umask(before)


def test_looking_makes_nothing(root):
    with opened(root) as files:
        assert (None, [], "0 files") == (files.stat("a/b"), list(files.scan()), files.summary())
        assert "does not exist yet" in files.ping()
        files.delete("a/b")

    assert not root.exists()


def test_empty_folders_go_with_their_last_file(files, root):
    files.put("a/b/c", b"x", metadata={"a": "b"})
    files.delete("a/b/c")
    (root / "empty").mkdir()

    assert {".capa-tmp", "kept", "empty"} == {path.name for path in root.iterdir()}
    assert [] == list(files.page(delimiter="/").prefixes)


def test_what_the_system_refuses_is_permission_denied(tmp_path):
    driver = LocalFiles(LocalFilesSettings(path=tmp_path))

    assert PermissionDeniedError is driver.name_error(PermissionError(13, "refused"))
    assert UnavailableError is driver.name_error(OSError(5, "a broken disk"))
    assert driver.name_error(ValueError("a bug")) is None


def test_an_error_of_the_system_names_the_whole_path(files, root, monkeypatch):
    """Known to the system is a temporary name, or the last part of the path."""

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device", self.name)

    monkeypatch.setattr(_writing.Temporary, "write", full)
    with pytest.raises(
        ExhaustedError, match=re.escape(f"No space left on device: '{root}/reports/2026.csv'")
    ):
        files.put("reports/2026.csv", b"x")


def test_a_folder_on_another_file_system_is_named_and_nothing_is_left(files, root, monkeypatch):
    def elsewhere(self, folder, name):
        raise OSError(errno.EXDEV, "Invalid cross-device link", self.name)

    monkeypatch.setattr(_writing.Temporary, "rename", elsewhere)
    with pytest.raises(ConflictError, match=re.escape(f"{root}/mounted/inner is on another file system")):
        files.put("mounted/inner/k", b"x", metadata={"a": "b"})

    assert [".capa-tmp", "kept"] == sorted(path.name for path in root.iterdir())


@pytest.mark.parametrize("call", ["get", "stat", "put", "delete", "page", "ping"])
def test_a_file_in_the_place_of_the_folder_is_an_error_of_the_setting(tmp_path, call):
    place = tmp_path / "file"
    place.write_bytes(b"x")
    calls = {"put": ("k", b"x"), "page": (), "ping": ()}
    with opened(place) as files, pytest.raises(SettingsError, match="is no folder, or a link to none"):
        getattr(files, call)(*calls.get(call, ("k",)))


def test_an_empty_path_is_refused():
    """The folder of capa.toml would be meant, and files of the program would be replaced."""
    with pytest.raises(ValueError, match="Name a folder"):
        LocalFilesSettings(path="")


# Writers that die, stop, and come at the same time


def test_the_file_of_a_dead_writer_is_removed_and_that_of_a_living_one_kept(files, root):
    def write_and_die():
        def pieces():
            yield b"half"
            os.kill(os.getpid(), signal.SIGKILL)

        files.put("new", pieces())

    dead = Child(write_and_die)
    with pytest.raises(AssertionError, match="without an answer"):
        dead.result()
    left = [path.read_bytes() for path in (root / ".capa-tmp").iterdir()]

    def pieces():
        yield b"who"
        with opened(root) as other:
            other.put("other", b"x")
        yield b"le"

    files.put("alive", pieces())

    assert ([b"half"], [], ["alive", "kept", "other"]) == (
        left,
        list((root / ".capa-tmp").iterdir()),
        [each.key for each in files.scan()],
    )
    assert b"whole" == files.get("alive")


def test_a_writer_that_is_stopped_delays_others_for_a_while_only(files, root):
    folder = os.open(root, os.O_RDONLY)
    try:
        with (
            _tree.locked(folder),
            opened(root, timeout_s=0.05) as other,
            pytest.raises(UnavailableError, match="is it stopped"),
        ):
            other.put("k", b"x", if_etag="")
    finally:
        os.close(folder)

    assert files.put("k", b"x", if_etag="")


def test_no_two_contents_have_the_same_etag(files, monkeypatch):
    """Also when the clock stands still or goes back."""
    import time

    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now - 10**12)
    etags = [files.put("kept", b"%d" % number) for number in range(20)]

    assert 20 == len(set(etags))


def test_folders_come_and_go_while_others_write_into_them(root):
    def work(number):
        with opened(root) as files:
            for turn in range(60):
                files.put(f"a/b/{number}", b"%d" % turn)
                assert b"%d" % turn == files.get(f"a/b/{number}")
                files.delete(f"a/b/{number}")
                files.put("a", b"x")
                files.delete("a")

    children = [Child(lambda number=number: work(number)) for number in range(3)]
    for child in children:
        child.result()

    with opened(root) as files:
        assert [] == list(files.scan())


def test_metadata_belong_to_their_content_after_a_crash_between_the_two(files, root, monkeypatch):
    """The metadata are replaced first; a process that dies before the content is leaves both as they were."""
    from capa_core.components.file import _writing

    files.put("k", b"old", metadata={"is": "old"})
    rename = _writing.Temporary.rename

    def dies(self, folder, name):
        if name == "k":
            raise KeyboardInterrupt
        rename(self, folder, name)

    monkeypatch.setattr(_writing.Temporary, "rename", dies)
    with pytest.raises(KeyboardInterrupt):
        LocalFiles(LocalFilesSettings(path=root)).put(
            FilePut(key="k", metadata={"is": "new"}), iter((b"new",))
        )
    monkeypatch.undo()

    assert 2 == len(json.loads((root / ".capa-meta-k").read_text()))
    assert (b"old", {"is": "old"}) == (files.get("k"), files.stat("k").metadata)
