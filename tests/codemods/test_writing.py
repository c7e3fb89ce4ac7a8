"""Files are replaced whole or not at all, and keep what is theirs."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from capa_codemods.engine import apply as engine
from capa_codemods.engine import write
from capa_codemods.engine.journal import Journal, Planned
from capa_codemods.engine.splice import ordered
from capa_codemods.errors import BusyError, ConflictError, JournalError
from capa_codemods.findings import Edit

BEFORE, AFTER = b"import requests\nx = 1\n", b"import capa_requests as requests\nx = 1\n"
EDITS = ordered([Edit(7, 15, b"capa_requests as requests", "imports")])


@pytest.fixture
def root(tmp_path):
    (tmp_path / "a.py").write_bytes(BEFORE)
    return tmp_path


@pytest.fixture
def journal(root):
    return Journal(str(root))


def planned(*names: str) -> list[Planned]:
    return [Planned(name, BEFORE, AFTER, EDITS) for name in names]


def _replace(root, **changes):
    arguments = {"temporary": f"{root}/.capa-1.tmp", "expected": BEFORE, **changes}
    write.replace(f"{root}/a.py", AFTER, **arguments)


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
def test_what_is_no_regular_file_is_not_read(root, make):
    path = root / "b.py"
    make(path)

    assert None is write.read(str(path))


def test_apply_then_undo_is_identity(root, journal):
    applied = engine.apply(journal, planned("a.py"))
    assert (("a.py",), ()) == (applied.written, applied.troubles)
    assert AFTER == (root / "a.py").read_bytes()

    undone = engine.undo(journal)

    assert (("a.py",), (), ()) == undone
    assert BEFORE == (root / "a.py").read_bytes()
    assert [] == journal.records()


def test_made_file_is_deleted_by_undo(root, journal):
    engine.apply(journal, [Planned("capa.toml", None, b"x = 1\n", ())])
    assert b"x = 1\n" == (root / "capa.toml").read_bytes()

    engine.undo(journal)

    assert not (root / "capa.toml").exists()


def test_conflicting_file_is_named_and_the_others_are_written(root, journal):
    (root / "b.py").write_bytes(b"mine\n")

    result = engine.apply(journal, planned("b.py", "a.py"))

    assert ("a.py",) == result.written
    assert "b.py changed while it was being rewritten" in result.troubles[0].reason
    assert (("a.py",), ()) == engine.undo(journal)[:2]
    assert b"mine\n" == (root / "b.py").read_bytes()


def test_undo_keeps_later_edits_on_other_lines(root, journal):
    engine.apply(journal, planned("a.py"))
    (root / "a.py").write_bytes(b"# new\n" + AFTER.replace(b"x = 1", b"x = 2\ny = 3"))

    result = engine.undo(journal)

    assert (("a.py",), ("a.py",), ()) == result
    assert b"# new\nimport requests\nx = 2\ny = 3\n" == (root / "a.py").read_bytes()


def test_undo_names_later_edits_on_the_same_line_and_can_be_run_again(root, journal):
    (root / "b.py").write_bytes(BEFORE)
    engine.apply(journal, planned("a.py", "b.py"))
    mine = AFTER.replace(b"as requests", b"as requests, os")
    (root / "a.py").write_bytes(mine)

    result = engine.undo(journal)

    assert ("b.py",) == result.written
    assert "a.py has been edited since, on lines that the rewrite changed" in result.troubles[0].reason
    assert mine == (root / "a.py").read_bytes()
    (root / "a.py").write_bytes(BEFORE)
    assert () == engine.undo(journal).troubles
    assert [] == journal.records()


def test_undo_does_not_make_a_deleted_file_again(root, journal):
    engine.apply(journal, planned("a.py"))
    (root / "a.py").unlink()

    result = engine.undo(journal)

    assert "a.py is gone" in result.troubles[0].reason
    assert not (root / "a.py").exists()


def test_two_writing_runs_exclude_each_other(journal, root):
    with (
        journal.lock(),
        pytest.raises(BusyError, match="another run of capa is writing"),
        Journal(str(root)).lock(),
    ):
        pass


def test_damaged_original_is_not_written_back(root, journal):
    record_folder = f"{journal.folder}/0001.applied"
    engine.apply(journal, planned("a.py"))
    with Path(record_folder, "originals").open("r+b") as file:
        file.write(b"garbage!")

    result = engine.undo(journal)

    assert "originals is damaged at a.py" in result.troubles[0].reason
    assert AFTER == (root / "a.py").read_bytes()


@pytest.mark.parametrize(
    "plan", ["", "{}", '{"version": 2, "files": []}', '{"version": 1, "files": [{}]}', "[1]"]
)
def test_damaged_plan_stops_the_undo(root, journal, plan):
    engine.apply(journal, planned("a.py"))
    Path(journal.folder, "0001.applied/plan.json").write_text(plan)

    with pytest.raises(JournalError):
        engine.undo(journal)

    assert AFTER == (root / "a.py").read_bytes()


@pytest.mark.parametrize("path", ["../outside.py", "/etc/outside.py", "x/../../outside.py"])
def test_forged_journal_leads_nowhere(root, journal, path):
    engine.apply(journal, planned("a.py"))
    place = Path(journal.folder, "0001.applied/plan.json")
    plan = json.loads(place.read_text())
    plan["files"][0]["path"] = path
    place.write_text(json.dumps(plan))

    with pytest.raises(JournalError, match="outside the tree"):
        engine.undo(journal)


def test_folder_that_leads_out_of_the_tree_is_not_written_through(root, journal, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.py").write_bytes(BEFORE)
    (root / "link").symlink_to(outside)

    result = engine.apply(journal, planned("link/a.py"))

    assert "leads out of the tree" in result.troubles[0].reason
    assert BEFORE == (outside / "a.py").read_bytes()


def test_journal_folder_that_leads_elsewhere_is_refused(root, journal, tmp_path_factory):
    (root / ".capa").symlink_to(tmp_path_factory.mktemp("elsewhere"))

    with pytest.raises(JournalError, match="is not a folder of this tree"), journal.lock():
        pass


def test_written_file_has_the_mode_of_a_new_one_if_it_is_new(root, journal):
    engine.apply(journal, [Planned("new.txt", None, b"", ())])

    mask = os.umask(0)
    os.umask(mask)
    assert 0o666 & ~mask == stat.S_IMODE((root / "new.txt").stat().st_mode)
