"""Journals that are damaged, or came with a foreign tree, do no harm; neither does a failing disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
from rewrite_safety.plans import AFTER, BEFORE, planned

from capa_codemods.errors import JournalError
from capa_codemods.write.apply import apply_files, recover_unfinished, undo_newest
from capa_codemods.write.journal import JournalRecord
from capa_codemods.write.journal_folder import make_migrate_folder


def test_damaged_original_is_not_written_back(root, journal):
    record_folder = f"{journal.folder}/0001.applied"
    apply_files(journal, planned("a.py"))
    with Path(record_folder, "originals").open("r+b") as file:
        file.write(b"garbage!")

    result = undo_newest(journal)

    assert "originals is damaged at a.py" in result.troubles[0].reason
    assert AFTER == (root / "a.py").read_bytes()


@pytest.mark.parametrize(
    "plan", ["", "{}", '{"version": 2, "files": []}', '{"version": 1, "files": [{}]}', "[1]"]
)
def test_damaged_plan_stops_the_undo(root, journal, plan):
    apply_files(journal, planned("a.py"))
    Path(journal.folder, "0001.applied/plan.json").write_text(plan)

    with pytest.raises(JournalError):
        undo_newest(journal)

    assert AFTER == (root / "a.py").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        *("../outside.py", "/etc/outside.py", "x/../../outside.py", ".git/config", "x/.GIT/config"),
        *(".capa/x", ".capa-migrate/x", "x/.capa/migrate/y"),
    ],
)
def test_forged_journal_leads_nowhere(root, journal, path):
    apply_files(journal, planned("a.py"))
    place = Path(journal.folder, "0001.applied/plan.json")
    plan = json.loads(place.read_text())
    plan["files"][0]["path"] = path
    place.write_text(json.dumps(plan))

    with pytest.raises(JournalError, match="which no rewrite touches"):
        undo_newest(journal)


def test_folder_that_leads_out_of_the_tree_is_not_written_through(root, journal, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "a.py").write_bytes(BEFORE)
    (root / "link").symlink_to(outside)

    result = apply_files(journal, planned("link/a.py"))

    assert "leads out of the tree" in result.troubles[0].reason
    assert BEFORE == (outside / "a.py").read_bytes()


def test_journal_folder_that_leads_elsewhere_is_refused(root, journal, tmp_path_factory):
    (root / ".capa-migrate").symlink_to(tmp_path_factory.mktemp("elsewhere"))

    with pytest.raises(JournalError, match="is not a folder of this tree"), journal.lock():
        pass


@pytest.mark.parametrize("name", ["0001.draft", "0001.applying", "0001.applied"])
def test_record_that_leads_elsewhere_deletes_nothing(root, journal, tmp_path_factory, name):
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.write_bytes(b"x")
    Path(journal.folder).mkdir(parents=True)
    Path(journal.folder, name).symlink_to(precious.parent)

    with pytest.raises(JournalError, match="is not a folder of this tree"), journal.lock():
        recover_unfinished(journal)

    assert b"x" == precious.read_bytes()


def test_journal_that_leads_elsewhere_is_refused(root, journal, tmp_path_factory):
    make_migrate_folder(str(root))
    Path(journal.folder).symlink_to(tmp_path_factory.mktemp("elsewhere"))

    with pytest.raises(JournalError, match="is not a folder of this tree"), journal.lock():
        pass


def test_lock_that_leads_elsewhere_empties_nothing(root, journal, tmp_path_factory):
    precious = tmp_path_factory.mktemp("elsewhere") / "precious"
    precious.write_bytes(b"x")
    make_migrate_folder(str(root))
    (root / ".capa-migrate/lock").symlink_to(precious)

    with pytest.raises(JournalError, match="is a link"), journal.lock():
        pass

    assert b"x" == precious.read_bytes()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", ["plan.json", "originals"])
def test_pipe_in_a_journal_is_not_waited_for(root, journal, name):
    apply_files(journal, planned("a.py"))
    place = Path(journal.folder, "0001.applied", name)
    place.unlink()
    os.mkfifo(place)

    if name == "plan.json":
        with pytest.raises(JournalError, match="plan.json is damaged"):
            undo_newest(journal)
    else:
        assert "originals is gone" in undo_newest(journal).troubles[0].reason
    assert AFTER == (root / "a.py").read_bytes()


def test_journal_that_came_with_the_repository_is_refused(root, journal):
    apply_files(journal, planned("a.py"))
    for words in (["init", "-q"], ["add", "-f", ".capa-migrate"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)

    with pytest.raises(JournalError, match="was committed with the repository"), journal.lock():
        pass


def test_ignore_file_that_a_killed_run_left_empty_is_written_again(root):
    make_migrate_folder(str(root))
    (root / ".capa-migrate/.gitignore").write_bytes(b"")

    make_migrate_folder(str(root))

    assert "*\n" == (root / ".capa-migrate/.gitignore").read_text()


def test_half_written_files_of_killed_runs_are_swept_away(root, journal):
    make_migrate_folder(str(root))
    (root / ".capa-migrate/settled.123.tmp").write_bytes(b"half")
    (root / ".capa-0001-0.tmp").write_bytes(b"half")

    with journal.lock():
        recover_unfinished(journal)
        apply_files(journal, planned("a.py"))

    assert [] == list(root.rglob("*.tmp"))
    assert AFTER == (root / "a.py").read_bytes()


def test_records_are_in_the_order_of_their_numbers(root, journal):
    for name in ("9999.applied", "10000.applied"):
        Path(journal.folder, name).mkdir(parents=True)

    assert [9999, 10000] == [record.number for record in journal.records()]


def test_no_room_for_a_shorter_plan_leaves_a_rewrite_that_can_be_taken_back(root, journal, monkeypatch):
    (root / "b.py").write_bytes(BEFORE)
    (root / "b.py").chmod(0o444)
    with monkeypatch.context() as patch:
        patch.setattr(JournalRecord, "keep", _full)
        result = apply_files(journal, planned("a.py", "b.py"))
    assert (("a.py",), ["b.py"]) == (result.written, [trouble.path for trouble in result.troubles])

    undone = undo_newest(journal)

    assert (("a.py",), ()) == (undone.written, undone.troubles)
    assert {BEFORE} == {(root / name).read_bytes() for name in ("a.py", "b.py")}


def _full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_journal_that_fails_at_the_end_reports_it_and_is_undone(root, journal, monkeypatch):
    become = JournalRecord.become
    with monkeypatch.context() as patch:
        patch.setattr(
            JournalRecord, "become", lambda record, to: _full() if to == "applied" else become(record, to)
        )
        with pytest.raises(JournalError, match="now that files have been: correct that, then run again"):
            apply_files(journal, planned("a.py"))
    assert AFTER == (root / "a.py").read_bytes()

    with journal.lock():
        assert ("a.py",) == recover_unfinished(journal).written
    assert BEFORE == (root / "a.py").read_bytes()


def test_the_journal_is_the_owners_alone(tmp_path):
    (tmp_path / ".capa-migrate").mkdir(mode=0o755)

    make_migrate_folder(str(tmp_path))

    assert 0o700 == (tmp_path / ".capa-migrate").stat().st_mode & 0o777
