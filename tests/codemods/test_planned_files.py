"""Files about to be replaced: made again from the outcome, only if both digests agree."""

from capa_codemods.findings import Edit, Outcome
from capa_codemods.read.files import digest
from capa_codemods.write.planned import PlannedFile, planned_file

EDIT = Edit(0, 3, b"new", "imports")
OUTCOME = Outcome("a.py", "changed", (EDIT,), digests=(digest(b"old\n"), digest(b"new\n")))
MADE = Outcome("a.py", "changed", (Edit(0, 0, b"new\n", "imports"),), digests=("", digest(b"new\n")))


def test_the_edits_are_put_into_the_bytes_that_were_read():
    assert PlannedFile("a.py", b"old\n", b"new\n", (EDIT,)) == planned_file(OUTCOME, b"old\n")


def test_a_file_that_has_changed_since_is_not_planned():
    assert planned_file(OUTCOME, b"other\n") is None


def test_a_missing_file_is_not_planned():
    assert planned_file(OUTCOME, None) is None


def test_bytes_that_were_not_proven_are_not_planned():
    unproven = OUTCOME._replace(digests=(digest(b"old\n"), digest(b"else\n")))

    assert planned_file(unproven, b"old\n") is None


def test_a_missing_file_is_made():
    assert PlannedFile("a.py", None, b"new\n", MADE.edits) == planned_file(MADE, None)


def test_a_file_that_has_come_into_being_is_not_made_again():
    assert planned_file(MADE, b"new\n") is None
