"""Undo after later edits of the user: files are merged where possible; others are left and reported."""

from __future__ import annotations

import pytest

from capa_codemods.findings import Edit
from capa_codemods.write.apply import WriteResult, apply_files, undo_newest
from capa_codemods.write.journal import Journal
from capa_codemods.write.planned import PlannedFile
from capa_codemods.write.splice import ordered_edits, splice

BEFORE = b"import os\nimport requests\n\nx = 1\n\npatch('requests.get')\n"
EDITS = ordered_edits(
    [
        Edit(17, 25, b"capa_requests as requests", "imports"),
        Edit(41, 49, b"capa_requests", "strings"),
    ]
)
AFTER = splice(BEFORE, EDITS)


@pytest.fixture
def applied(tmp_path):
    (tmp_path / "a.py").write_bytes(BEFORE)
    journal = Journal(str(tmp_path))
    apply_files(journal, [PlannedFile("a.py", BEFORE, AFTER, EDITS)])
    assert b"import capa_requests as requests" in (tmp_path / "a.py").read_bytes()
    return journal


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"import os\n", b"# mine\nimport os\n"),
        (b"x = 1\n", b"x = 1\ny = 2\n"),
        (b"x = 1\n", b""),
        (b"x = 1\n", b"x = 3\n"),
        (b"import os\n", b""),
        (b"get')\n", b"get')\nend = True\n"),
        (b"get')\n", b"get')"),
        (b"\n", b"\r\n"),
        (b"\n", b"\r"),
    ],
    ids=["above", "between", "deleted", "changed", "first line", "below", "no last newline", "crlf", "cr"],
)
def test_edits_on_other_lines_are_kept(applied, tmp_path, old, new):
    (tmp_path / "a.py").write_bytes(AFTER.replace(old, new))

    result = undo_newest(applied)

    assert BEFORE.replace(old, new) == (tmp_path / "a.py").read_bytes()
    assert (("a.py",), ("a.py",), ()) == result
    assert [] == applied.records()


def test_line_that_was_sorted_to_another_place_is_restored_there(applied, tmp_path):
    (tmp_path / "a.py").write_bytes(
        AFTER.replace(
            b"import os\nimport capa_requests as requests\n", b"import capa_requests as requests\nimport os\n"
        )
    )

    assert (("a.py",), ("a.py",), ()) == undo_newest(applied)
    assert (
        BEFORE.replace(b"import os\nimport requests", b"import requests\nimport os")
        == (tmp_path / "a.py").read_bytes()
    )


def test_file_that_is_back_before_an_older_rewrite_too_is_nothing_to_undo(applied, tmp_path):
    later = (Edit(0, 0, b"# later\n", "later"),)
    apply_files(applied, [PlannedFile("a.py", AFTER, splice(AFTER, later), later)])
    (tmp_path / "a.py").write_bytes(BEFORE)

    results = [undo_newest(applied), undo_newest(applied)]

    assert [WriteResult(()), WriteResult(())] == results
    assert (BEFORE, []) == ((tmp_path / "a.py").read_bytes(), applied.records())


def test_rewrite_that_restores_the_state_before_an_older_one_is_undone(applied, tmp_path):
    back = (Edit(0, len(AFTER), BEFORE, "back"),)
    apply_files(applied, [PlannedFile("a.py", AFTER, BEFORE, back)])

    assert ("a.py",) == undo_newest(applied).written
    assert AFTER == (tmp_path / "a.py").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"as requests\n", b"as requests, re\n"),
        (b"import capa_requests as requests\n", b""),
        (b"'capa_requests.get'", b"'capa_requests.post'"),
        (b"import os\nimport capa_requests as requests\n", b"import capa_requests as requests, os\n"),
        (AFTER, b"entirely other\n"),
        (AFTER, b""),
        (AFTER, b"import os\nimport capa_requests as requests\n" * 2),
    ],
    ids=["inside", "line deleted", "string", "joined", "replaced", "emptied", "doubled"],
)
def test_edits_on_the_same_lines_are_named_and_left(applied, tmp_path, old, new):
    mine = AFTER.replace(old, new)
    (tmp_path / "a.py").write_bytes(mine)

    result = undo_newest(applied)

    assert "edited since, on lines that the rewrite changed" in result.troubles[0].reason
    assert mine == (tmp_path / "a.py").read_bytes()


def _delete(path):
    path.unlink()


def _rename(path):
    path.rename(path.with_name("b.py"))


def _link(path):
    _rename(path)
    path.symlink_to("b.py")


def _turn_into_folder(path):
    path.unlink()
    path.mkdir()


def test_the_journal_is_not_to_be_deleted_while_another_file_needs_it(tmp_path):
    files = [PlannedFile(name, BEFORE, AFTER, EDITS) for name in ("a.py", "b.py")]
    for one in files:
        (tmp_path / one.path).write_bytes(BEFORE)
    journal = Journal(str(tmp_path))
    apply_files(journal, files)
    (tmp_path / "a.py").unlink()
    (tmp_path / "b.py").write_bytes(AFTER.replace(b"capa_requests", b"mine"))

    assert not any("to leave" in trouble.reason for trouble in undo_newest(journal).troubles)
    (tmp_path / "b.py").write_bytes(AFTER)
    (trouble,) = undo_newest(journal).troubles
    assert trouble.reason.endswith("or delete .capa-migrate/journal/0001.applied to leave all such files so")


@pytest.mark.parametrize("change", [_delete, _rename, _link, _turn_into_folder])
def test_file_that_is_none_any_more_is_named_and_can_be_put_back(applied, tmp_path, change):
    path = tmp_path / "a.py"
    change(path)

    result = undo_newest(applied)

    assert "a.py is gone or no longer a file" in result.troubles[0].reason
    assert "0001.applied to leave all such files so" in result.troubles[0].reason
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(AFTER)
    assert (("a.py",), ()) == undo_newest(applied)[:2]
    assert BEFORE == path.read_bytes()


def test_file_made_read_only_is_named_and_can_be_opened_again(applied, tmp_path):
    (tmp_path / "a.py").chmod(0o444)
    assert "is read-only" in undo_newest(applied).troubles[0].reason
    assert AFTER == (tmp_path / "a.py").read_bytes()

    (tmp_path / "a.py").chmod(0o640)
    undo_newest(applied)

    assert (BEFORE, 0o640) == ((tmp_path / "a.py").read_bytes(), (tmp_path / "a.py").stat().st_mode & 0o777)


def test_mode_that_was_changed_since_is_kept(applied, tmp_path):
    (tmp_path / "a.py").chmod(0o755)

    undo_newest(applied)

    assert (BEFORE, 0o755) == ((tmp_path / "a.py").read_bytes(), (tmp_path / "a.py").stat().st_mode & 0o777)


def test_file_taken_back_by_hand_is_nothing_to_undo(applied, tmp_path):
    (tmp_path / "a.py").write_bytes(BEFORE)

    assert ((), (), ()) == undo_newest(applied)
    assert [] == applied.records()


def test_file_restored_in_part_of_an_undo_may_be_edited_before_the_rest(applied, tmp_path):
    (tmp_path / "b.py").write_bytes(BEFORE)
    apply_files(applied, [PlannedFile("b.py", BEFORE, AFTER, EDITS)])
    undo_newest(applied)
    undo_newest(applied)
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(BEFORE)
    apply_files(applied, [PlannedFile(name, BEFORE, AFTER, EDITS) for name in ("a.py", "b.py")])
    (tmp_path / "b.py").unlink()
    assert ("a.py",) == undo_newest(applied).written
    (tmp_path / "a.py").write_bytes(b"mine\n")
    (tmp_path / "b.py").write_bytes(AFTER)

    result = undo_newest(applied)

    assert (("b.py",), ()) == (result.written, result.troubles)
    assert b"mine\n" == (tmp_path / "a.py").read_bytes()
