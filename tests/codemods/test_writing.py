"""Files are replaced whole or not at all, and keep mode, owner and attributes."""

from __future__ import annotations

import errno
import os
import stat
import struct

import pytest
from rewrite_safety.plans import AFTER, BEFORE, planned

from capa_codemods.errors import BusyError, ConflictError
from capa_codemods.read.files import read_file
from capa_codemods.write import replace
from capa_codemods.write.apply import apply_files, undo_newest
from capa_codemods.write.journal import Journal
from capa_codemods.write.planned import PlannedFile


def _replace(root, **changes):
    arguments = {"temporary": f"{root}/.capa-1.tmp", "expected": BEFORE, **changes}
    replace.replace_file(f"{root}/a.py", AFTER, **arguments)


def test_link_is_not_replaced_by_a_file_that_is_made(root):
    (root / "a.py").unlink()
    (root / "a.py").symlink_to("elsewhere")

    with pytest.raises(ConflictError):
        _replace(root, expected=None)

    assert "elsewhere" == str((root / "a.py").readlink())


def test_mode_owner_and_attributes_are_kept(root):
    path = root / "a.py"
    path.chmod(0o751)
    attributes = {}
    try:
        os.setxattr(path, "user.capa", b"kept")
        attributes = {"user.capa": b"kept"}
    except OSError as error:
        assert errno.ENOTSUP == error.errno  # noqa: PT017 - a file system without attributes has none to keep
    if os.geteuid() == 0:
        os.chown(path, 1234, 4321)
    before = path.stat()

    _replace(root)

    after = path.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    assert attributes == {name: os.getxattr(path, name) for name in os.listxattr(path)}
    assert AFTER == path.read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make files of other groups")
def test_group_is_kept_in_a_folder_with_inherited_groups(root):
    os.chown(root, -1, 4321)
    root.chmod(0o2755)
    os.chown(root / "a.py", 0, 1234)

    _replace(root)

    assert 1234 == (root / "a.py").stat().st_gid


def test_a_file_whose_owner_cannot_be_kept_loses_its_set_id_bits(root, monkeypatch):
    (root / "a.py").chmod(0o4755)
    monkeypatch.setattr(os, "fchown", _refuse)
    found = os.fstat(os.open(root / "a.py", os.O_RDONLY))
    monkeypatch.setattr(os, "lstat", lambda _: os.stat_result([*found[:4], 4321, *found[5:10]]))

    _replace(root)

    assert 0o755 == stat.S_IMODE((root / "a.py").stat().st_mode)


def test_access_list_of_the_file_is_kept_and_that_of_the_folder_not_taken(root):
    _set_access_list(root, "system.posix_acl_default", group=4321)
    _replace(root)
    assert [] == [name for name in os.listxattr(root / "a.py") if "acl" in name]
    _set_access_list(root / "a.py", "system.posix_acl_access", group=1234)
    before = os.getxattr(root / "a.py", "system.posix_acl_access")

    replace.replace_file(f"{root}/a.py", BEFORE, temporary=f"{root}/.capa-1.tmp", expected=AFTER)

    assert before == os.getxattr(root / "a.py", "system.posix_acl_access")


def _set_access_list(path, name, *, group):
    """Let *group* write, as `setfacl -m g:GROUP:rwx` does."""
    none = 0xFFFFFFFF
    entries = [(0x01, 7, none), (0x04, 5, none), (0x08, 7, group), (0x10, 7, none), (0x20, 5, none)]
    try:
        os.setxattr(path, name, struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries))
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        pytest.skip("the file system has no access lists")


def test_attribute_that_cannot_be_kept_leaves_the_file(root, monkeypatch):
    try:
        os.setxattr(root / "a.py", "user.capa", b"kept")
    except OSError:
        pytest.skip("the file system has no attributes")
    monkeypatch.setattr(os, "setxattr", _refuse)

    with pytest.raises(PermissionError):
        _replace(root)

    assert BEFORE == (root / "a.py").read_bytes()


def _refuse(*_, **__):
    raise PermissionError(errno.EPERM, "Operation not permitted")


def test_read_only_file_is_left_and_named(root, journal):
    (root / "a.py").chmod(0o444)

    result = apply_files(journal, planned("a.py"))

    assert "a.py is read-only: it was left as it is; allow writing to it" in result.troubles[0].reason
    assert (BEFORE, ["a.py"]) == ((root / "a.py").read_bytes(), _names(root))
    assert [] == journal.records()


def _names(root):
    return sorted(path.name for path in root.iterdir() if path.name != ".capa-migrate")


def test_file_changed_since_it_was_read_is_a_conflict(root):
    (root / "a.py").write_bytes(b"mine\n")

    with pytest.raises(ConflictError, match="changed while it was being rewritten"):
        _replace(root)

    assert ["a.py"] == [path.name for path in root.iterdir()]
    assert b"mine\n" == (root / "a.py").read_bytes()


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
def test_failing_system_call_loses_nothing(root, monkeypatch, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="No space left"):
        _replace(root)

    assert ["a.py"] == [path.name for path in root.iterdir()]
    assert BEFORE == (root / "a.py").read_bytes()


def test_link_planted_under_the_temporary_name_is_not_followed(root):
    (root / "victim").write_bytes(b"precious")
    (root / ".capa-1.tmp").symlink_to(root / "victim")

    with pytest.raises(FileExistsError):
        _replace(root)

    assert b"precious" == (root / "victim").read_bytes()


def test_other_names_of_a_hard_linked_file_keep_the_old_text(root):
    os.link(root / "a.py", root / "backup.py")

    _replace(root)

    assert (AFTER, BEFORE) == ((root / "a.py").read_bytes(), (root / "backup.py").read_bytes())


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("x"), lambda path: path.mkdir()])
def test_a_special_file_is_not_read(root, make):
    path = root / "b.py"
    make(path)

    assert None is read_file(str(path))


def test_apply_then_undo_is_identity(root, journal):
    applied = apply_files(journal, planned("a.py"))
    assert (("a.py",), ()) == (applied.written, applied.troubles)
    assert AFTER == (root / "a.py").read_bytes()

    undone = undo_newest(journal)

    assert (("a.py",), (), ()) == undone
    assert BEFORE == (root / "a.py").read_bytes()
    assert [] == journal.records()


def test_made_file_is_deleted_by_undo(root, journal):
    apply_files(journal, [PlannedFile("capa.toml", None, b"x = 1\n", ())])
    assert b"x = 1\n" == (root / "capa.toml").read_bytes()

    undo_newest(journal)

    assert not (root / "capa.toml").exists()


def test_conflicting_file_is_named_and_the_others_are_written(root, journal):
    (root / "b.py").write_bytes(b"mine\n")

    result = apply_files(journal, planned("b.py", "a.py"))

    assert ("a.py",) == result.written
    assert "b.py changed while it was being rewritten" in result.troubles[0].reason
    assert (("a.py",), ()) == undo_newest(journal)[:2]
    assert b"mine\n" == (root / "b.py").read_bytes()


def test_file_reached_under_two_names_is_rewritten_once(root, journal):
    # As `A.py` and `a.py` are where the file system does not tell large letters from small ones.
    result = apply_files(journal, planned("a.py", "./a.py"))

    assert ("a.py",) == result.written
    assert "changed while it was being rewritten" in result.troubles[0].reason
    assert AFTER == (root / "a.py").read_bytes()
    undo_newest(journal)
    assert BEFORE == (root / "a.py").read_bytes()


def test_undo_keeps_later_edits_on_other_lines(root, journal):
    apply_files(journal, planned("a.py"))
    (root / "a.py").write_bytes(b"# new\n" + AFTER.replace(b"x = 1", b"x = 2\ny = 3"))

    result = undo_newest(journal)

    assert (("a.py",), ("a.py",), ()) == result
    assert b"# new\nimport requests\nx = 2\ny = 3\n" == (root / "a.py").read_bytes()


def test_undo_names_later_edits_on_the_same_line_and_can_be_run_again(root, journal):
    (root / "b.py").write_bytes(BEFORE)
    apply_files(journal, planned("a.py", "b.py"))
    mine = AFTER.replace(b"as requests", b"as requests, os")
    (root / "a.py").write_bytes(mine)

    result = undo_newest(journal)

    assert ("b.py",) == result.written
    assert "a.py has been edited since, on lines that the rewrite changed" in result.troubles[0].reason
    assert mine == (root / "a.py").read_bytes()
    (root / "a.py").write_bytes(BEFORE)
    assert () == undo_newest(journal).troubles
    assert [] == journal.records()


def test_undo_does_not_make_a_deleted_file_again(root, journal):
    apply_files(journal, planned("a.py"))
    (root / "a.py").unlink()

    result = undo_newest(journal)

    assert "a.py is gone" in result.troubles[0].reason
    assert not (root / "a.py").exists()


def test_two_writing_runs_exclude_each_other(journal, root):
    with (
        journal.lock(),
        pytest.raises(BusyError, match="another run of capa is writing"),
        Journal(str(root)).lock(),
    ):
        pass


def test_written_file_has_the_mode_of_a_new_one_if_it_is_new(root, journal):
    apply_files(journal, [PlannedFile("new.txt", None, b"", ())])

    mask = os.umask(0)
    os.umask(mask)
    assert 0o666 & ~mask == stat.S_IMODE((root / "new.txt").stat().st_mode)
