"""A command whose output cannot be written: its exit code, and whether its message says that the change was made."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from capa_codemods.api import JournalError
from capa_core import Runtime
from capa_migration.rewrite.apply import changed_before

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason=f"needs {FULL}")


@pytest.fixture
def into(capa_process, tmp_path):
    """Return a function that runs a command with its output sent to a stream, and returns exit code and errors."""

    def run(stream, *words, errors=subprocess.PIPE, cwd=tmp_path):
        ran = subprocess.run(capa_process(*words), stdout=stream, stderr=errors, text=True, cwd=cwd)
        return ran.returncode, ran.stderr

    return run


@pytest.fixture
def full(into):
    """Return a function that runs a command with its output sent to a full disk."""

    def run(*words, **options):
        with FULL.open("w") as stream:
            return into(stream, *words, **options)

    return run


@pytest.fixture
def gone(into):
    """Return a function that runs a command whose output nobody reads, as after `| head -0`."""

    def run(*words):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            return into(writer, *words)
        finally:
            os.close(writer)

    return run


def test_rewrite_and_undo_are_said_to_be_made(full, project, snapshot):
    before = snapshot(project)
    code, said = full("migrate", "apply", project)
    rewritten = snapshot(project)
    undone, said_of_undo = full("migrate", "undo", project)

    assert (2, 2) == (code, undone)
    assert before != rewritten
    assert before == snapshot(project)
    made = "capa migrate: No space left on device: the output is incomplete, and the change was made:"
    assert f"{made} 3 files rewritten; `capa migrate undo {project}` undoes it\n" == said
    assert (
        f"{made} 3 files restored; `capa migrate apply {project}` makes the rewrite again\n" == said_of_undo
    )


def test_output_file_that_is_full_is_no_wrong_usage_once_files_are_rewritten(capa, project):
    ran = capa("migrate", "apply", project, "--output", FULL)

    assert 2 == ran.code
    assert "the change was made: 3 files rewritten" in ran.err


def test_removed_messages_are_said_to_be_removed(full, tmp_path):
    (tmp_path / "capa.toml").write_text('[pubsub.default]\ndriver = "sqlite"\n')
    with Runtime(start=tmp_path) as runtime:
        runtime.pubsub().publish_many("orders", [b"a", b"b"], raw=True)

    code, said = full("queue", "purge", "orders", "--yes")

    assert 2 == code
    assert "the change was made: 2 messages removed from orders, for good\n" in said


def test_journal_that_fails_after_a_change_names_the_change():
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "journal")
    with pytest.raises(JournalError) as raised, changed_before("2 commits of this run stayed"):
        raise full
    with pytest.raises(OSError) as unchanged, changed_before(""):
        raise full

    expected = (
        "journal: No space left on device: make room and run again; before that, 2 commits of this run stayed"
    )
    assert (expected, full) == (str(raised.value), unchanged.value)


def test_command_that_changes_nothing_says_so(full, project):
    assert (
        2,
        "capa migrate: No space left on device: make room and run again; nothing was changed\n",
    ) == full("migrate", "check", project)


@pytest.mark.parametrize("words", [["--help"], ["scan", "--help"]])
def test_help_that_cannot_be_printed_is_an_error(full, words):
    code, said = full(*words)

    assert 2 == code
    assert 1 == len(said.splitlines())
    assert "No space left on device" in said


def test_errors_that_cannot_be_printed_either_leave_the_exit_code(full, project):
    assert (2, None) == full("migrate", "check", project, errors=subprocess.STDOUT)


def test_usage_error_that_cannot_be_printed_leaves_the_exit_code(into):
    with FULL.open("w") as stream:
        assert (3, None) == into(subprocess.DEVNULL, "scan", "--nope", errors=stream)


def test_reader_that_has_gone_leaves_a_rewrite_complete(gone, project, snapshot, capa):
    code, said = gone("migrate", "apply", project)

    assert 141 == code
    assert "Broken pipe: the output is incomplete, and the change was made: 3 files rewritten" in said
    assert 0 == capa("migrate", "check", project).code
