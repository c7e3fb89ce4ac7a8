"""A journal of an earlier version, in `.capa/migrate`, is read there, and moved as a whole by a run that writes."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest
from rewrite_safety.plans import AFTER, BEFORE, planned

from capa_codemods.errors import BusyError, JournalError
from capa_codemods.write.apply import apply_files, recover_unfinished, undo_newest
from capa_codemods.write.journal import Journal
from capa_codemods.write.journal_place import has_journal, move_earlier_file


@pytest.fixture
def earlier(root, journal):
    """The tree with a rewrite of `a.py`, as an earlier version left it."""
    with journal.lock():
        apply_files(journal, planned("a.py"))
    as_earlier(root)
    return root


def as_earlier(root: Path) -> None:
    """Put the migration's files of the tree at *root* where earlier versions kept them, with data of components."""
    (root / ".capa").mkdir()
    (root / ".capa-migrate").rename(root / ".capa/migrate")
    (root / ".capa/state.db").write_bytes(b"data")


def test_a_rewrite_of_an_earlier_version_is_seen_where_it_is(earlier, journal):
    assert [1] == [record.number for record in journal.records("applied")]
    assert ["a.py"] == [entry.path for entry in journal.records()[0].entries()]
    assert has_journal(str(earlier))
    assert not (earlier / ".capa-migrate").exists()  # a look moves nothing


def test_a_rewrite_of_an_earlier_version_is_undone(earlier, journal):
    with journal.lock():
        assert ("a.py",) == undo_newest(journal).written

    assert BEFORE == (earlier / "a.py").read_bytes()
    assert not (earlier / ".capa/migrate").exists()
    assert b"data" == (earlier / ".capa/state.db").read_bytes()


def test_an_unfinished_rewrite_of_an_earlier_version_is_undone_first(earlier, journal):
    folder = earlier / ".capa/migrate/journal"
    (folder / "0001.applied").rename(folder / "0001.applying")

    with journal.lock():
        assert ("a.py",) == recover_unfinished(journal).written

    assert BEFORE == (earlier / "a.py").read_bytes()


def test_later_rewrites_follow_those_of_an_earlier_version(earlier, journal):
    (earlier / "b.py").write_bytes(BEFORE)

    with journal.lock():
        apply_files(journal, planned("b.py"))

    assert [1, 2] == [record.number for record in journal.records("applied")]


def test_deleting_the_data_of_components_leaves_the_journal(root, journal):
    apply_files(journal, planned("a.py"))
    (root / ".capa").mkdir()

    subprocess.run(["rm", "-rf", root / ".capa"], check=True)

    assert ("a.py",) == undo_newest(journal).written


def test_two_journals_are_refused_and_left(earlier, journal):
    (earlier / ".capa-migrate/journal/0001.applied").mkdir(parents=True)

    with pytest.raises(JournalError, match="has two journals"), journal.lock():
        pass

    assert 2 == len(list(earlier.glob(".capa*/**/0001.applied")))


def test_a_run_of_an_earlier_version_that_writes_is_waited_for(earlier, journal):
    with (earlier / ".capa/migrate/lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)

        with pytest.raises(BusyError), journal.lock():
            pass

    assert (earlier / ".capa/migrate/journal/0001.applied").is_dir()


def test_a_committed_journal_of_an_earlier_version_is_refused_where_it_is(earlier, journal):
    for words in (["init", "-q"], ["add", "-f", ".capa/migrate"]):
        subprocess.run(["git", "-C", str(earlier), *words], check=True)

    with (
        pytest.raises(JournalError, match=r"was committed .* git rm -r --cached \.capa/migrate"),
        journal.lock(),
    ):
        pass

    assert AFTER == (earlier / "a.py").read_bytes()
    assert (earlier / ".capa/migrate/journal/0001.applied").is_dir()


@pytest.mark.parametrize("part", [".capa", ".capa/migrate", ".capa/migrate/journal"])
def test_an_earlier_place_behind_a_link_is_none(earlier, journal, tmp_path_factory, part):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    (earlier / part).rename(elsewhere)
    (earlier / part).symlink_to(elsewhere)

    assert [] == journal.records()
    with journal.lock():
        assert undo_newest(journal) is None

    assert [elsewhere] == list(elsewhere.parent.iterdir())
    assert list(elsewhere.rglob("0001.applied"))


def test_a_journal_that_cannot_be_moved_stays_and_says_so(earlier, journal, monkeypatch):
    def other_disk(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", other_disk)
        with pytest.raises(JournalError, match="move it there by hand and run again"), journal.lock():
            pass

    assert [1] == [record.number for record in Journal(str(earlier)).records("applied")]


def test_a_file_of_an_earlier_version_does_not_replace_a_later_one(root):
    for folder, text in ((".capa", "earlier"), (".capa-migrate", "later")):
        (root / folder).mkdir()
        (root / folder / "history").write_text(text)

    move_earlier_file(str(root), "history")

    assert "later" == (root / ".capa-migrate/history").read_text()
