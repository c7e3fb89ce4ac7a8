"""`.capa-migrate/history`: the numbers of a migration, run by run."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from capa_migration.rewrite.history import Entry, SdkProgress, read, remember
from capa_migration.rewrite.scan.sites import Site, Survey

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def survey(root, *, full=0, none=0, moved=0):
    def sites(number, support):
        return tuple(
            Site("a.py", line, "requests", "call", "requests.get", (), support) for line in range(number)
        )

    return Survey(
        str(root), 1, (*sites(full, "full"), *sites(none, "none")), unread=(), moved=sites(moved, "full")
    )


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def test_a_run_adds_a_line_with_its_numbers(root):
    remember(str(root), survey(root, full=3, none=2, moved=1), "scan", now=NOON)
    (entry,) = read(str(root)).entries

    assert Entry(NOON, "scan", {"requests": SdkProgress(full=3, partial=0, none=2, moved=1)}) == entry
    assert (3, 2, 1) == (entry.movable, entry.staying, entry.moved)


def test_the_same_numbers_on_the_same_day_add_nothing(root):
    soon, later = NOON + timedelta(hours=23), NOON + timedelta(hours=24)
    added = [remember(str(root), survey(root, full=3), "scan", now=at) for at in (NOON, soon, later)]

    assert [True, False, True] == added


def test_other_numbers_add_a_line_at_once(root):
    first, second = survey(root, full=3), survey(root, full=2, moved=1)
    added = [remember(str(root), first, "scan"), remember(str(root), second, "report")]

    assert [True, True] == added


def test_a_part_of_a_tree_adds_nothing(root):
    (root / "app").mkdir()

    assert not remember(str(root / "app"), survey(root, full=1), "scan")
    assert () == read(str(root)).entries


def test_a_run_that_leaves_files_out_adds_nothing(root):
    assert not remember(str(root), survey(root, full=1), "scan", exclude=["vendor"])


def test_a_tree_without_an_sdk_is_left_alone(root):
    assert not remember(str(root), survey(root), "scan")
    assert not (root / ".capa-migrate").exists()


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b"3",
        b"{}",
        b"\xff\xfe",
        b'{"at": "0001-01-01T00:00:00+14:00", "by": "scan", "sdks": {}}',
        b'{"at": "yesterday", "by": "scan", "sdks": {}}',
        b'{"at": "2026-03-01T00:00:00+00:00", "by": "scan", "sdks": {"requests": {"full": 1}}}',
        b'{"at": "2026-03-01", "by": "scan", "sdks": {"x": {"full": -1, "partial": 0, "none": 0, "moved": 0}}}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_is_skipped_and_named(root, line):
    remember(str(root), survey(root, full=1), "scan", now=NOON)
    with (root / ".capa-migrate/history").open("ab") as file:
        file.write(line)  # without an end, as a kill leaves it
    remember(str(root), survey(root, full=2), "scan", now=NOON)
    found = read(str(root))

    assert [1, 2] == [entry.movable for entry in found.entries]
    assert (2,) == found.damaged


def test_a_history_that_leads_elsewhere_is_not_followed(root):
    (root / ".capa-migrate").mkdir()
    (root / "precious").write_text("kept\n")
    (root / ".capa-migrate/history").symlink_to(root / "precious")

    assert not remember(str(root), survey(root, full=1), "scan")
    assert "kept\n" == (root / "precious").read_text()
    assert () == read(str(root)).entries


def test_a_history_of_an_earlier_version_is_read_and_continued(root):
    remember(str(root), survey(root, full=1), "scan", now=NOON)
    (root / ".capa").mkdir()
    (root / ".capa-migrate/history").rename(root / ".capa/history")
    before = [entry.movable for entry in read(str(root)).entries]
    remember(str(root), survey(root, full=2), "scan", now=NOON)

    assert ([1], [1, 2]) == (before, [entry.movable for entry in read(str(root)).entries])
    assert not (root / ".capa/history").exists()


def test_two_runs_at_once_add_one_line(root):
    code = (
        "import sys; sys.path.insert(0, sys.argv[2]); from test_history import *\n"
        "[remember(sys.argv[1], survey(sys.argv[1], full=number // 10), 'scan') for number in range(200)]"
    )
    words = [sys.executable, "-c", code, str(root), str(Path(__file__).parent)]
    runs = [subprocess.Popen(words) for _ in range(2)]
    assert [0, 0] == [run.wait(30) for run in runs]
    found = read(str(root))

    assert () == found.damaged
    # One run may be ahead of the other, and a number may then come again; never twice in a row.
    movable = [json.loads(line)["sdks"] for line in (root / ".capa-migrate/history").read_text().splitlines()]
    assert all(one != other for one, other in pairwise(movable))


def test_git_does_not_see_it(capa, project, git):
    capa("scan", project)

    assert 1 == len(read(str(project)).entries)
    assert "" == git("status", "--porcelain")


def test_each_scan_of_a_whole_tree_adds_a_line_and_a_rewrite_adds_none(capa, project):
    for words in (["scan"], ["migrate", "apply"], ["report"]):
        capa(*words, project)
    lines = [(entry.by, entry.movable, entry.moved) for entry in read(str(project)).entries]

    assert [("scan", 6, 0), ("report", 0, 6)] == lines


def test_apply_reads_no_file_for_the_history_after_its_summary(capa, project, monkeypatch):
    capa("scan", project)
    monkeypatch.setattr("capa_migration.cli.changes._survey", lambda _: pytest.fail("the tree was counted"))

    assert 0 == capa("migrate", "apply", project).code
