"""`capa migrate apply -i`: the questions, and the effect of each answer."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import subprocess
import sys

import pytest

TAKE_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Keyboard(io.StringIO):
    """Input typed at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answering(capa, project, monkeypatch):
    """Return a function that runs `apply -i` with *answers*, and returns its result and the changed files."""

    def run(answers: str, keyboard: type[Keyboard] = Keyboard):
        before = {path: path.read_bytes() for path in project.rglob("*.py")}
        monkeypatch.setattr(sys, "stdin", keyboard(answers))
        ran = capa("migrate", "apply", project, "-i")
        changed = [path.name for path, data in sorted(before.items()) if path.read_bytes() != data]
        return ran, changed

    return run


@pytest.mark.parametrize(
    ("answers", "changed"),
    [
        ("y\ny\ny\n", ["api.py", "tasks.py", "test_api.py"]),
        ("n\ny\nn\n", ["tasks.py"]),
        ("n\na\n", ["tasks.py", "test_api.py"]),
        ("y\nq\n", ["api.py"]),
        ("q\n", []),
        ("y\n", ["api.py"]),
        ("", []),
        ("Yes\nNO\nquit\n", ["api.py"]),
        ("d\n?\nwhat\ny\nq\n", ["api.py"]),
    ],
    ids=["yes", "no", "all", "quit", "quit-first", "end", "end-first", "words", "diff-and-help"],
)
def test_answers_choose_the_files(answering, answers, changed):
    ran, found = answering(answers)

    assert (0, changed) == (ran.code, found)


def test_each_question_comes_with_its_diff_on_standard_error(answering):
    ran, _ = answering("d\nn\nq\n")

    assert 2 == ran.err.count("+++ b/app/api.py\n")
    assert 1 == ran.err.count("+++ b/app/tasks.py\n")
    assert "(1/3) change app/api.py [y,n,a,q,d,?]? " in ran.err
    assert "+++" not in ran.out


def test_help_describes_quitting(answering):
    ran, _ = answering("?\nq\n")

    assert "q - quit: change the files answered with y, leave this one and the rest" in ran.err


@pytest.mark.parametrize(
    ("answers", "output"), [("q\n", "3 files left"), ("a\n", None), ("y\ny\nn\n", "1 file left")]
)
def test_declined_files_are_counted(answering, answers, output):
    ran, _ = answering(answers)

    assert (f"{output} as you chose.\n" in ran.out) if output else "left as" not in ran.out
    assert "nothing to do" not in ran.out


def test_undo_reverts_the_chosen_files(answering, capa, project):
    answering("y\nq\n")

    assert "1 file restored.\n" == capa("migrate", "undo", project).out


def test_file_edited_while_the_question_is_open_is_left(answering, project):
    class Editing(Keyboard):
        def readline(self, *size: int) -> str:
            (project / "app/api.py").write_text("import requests, os\n")
            return super().readline(*size)

    ran, _ = answering("y\nq\n", Editing)

    assert 2 == ran.code
    assert "app/api.py changed while the plan was made: it was left as it is; run again" in ran.out


def test_without_a_terminal_the_option_is_refused(capa, project, monkeypatch, snapshot):
    before = snapshot(project)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    ran = capa("migrate", "apply", project, "-i")

    assert (3, before) == (ran.code, snapshot(project))
    assert (
        "-i asks about each file, and standard input is not a terminal: run it in a terminal, or review"
        in ran.err
    )


def test_at_a_real_terminal_control_c_changes_nothing(capa_process, project, snapshot):
    before = snapshot(project)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, *capa_process("migrate", "apply", project, "-i")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    output = _read_until(ours, b"change app/api.py [y,n,a,q,d,?]? ")
    os.write(ours, b"y\n")
    _read_until(ours, b"change app/tasks.py [y,n,a,q,d,?]? ")
    os.write(ours, b"\x03")
    # The terminal shows ^C after it has sent the signal, so it may be anywhere in the output.
    last = _read_to_end(ours).replace(b"^C", b"")
    code = process.wait()
    os.close(ours)

    assert b"\x1b[32m+import capa_requests as requests\x1b[0m" in output
    assert last.startswith(b"\r\ncapa migrate: interrupted")
    assert last.endswith(b"the unfinished rewrite\r\n")
    assert (130, before) == (code, snapshot(project))


def _read_until(handle: int, end: bytes) -> bytes:
    text = b""
    while not text.endswith(end):
        text += os.read(handle, 4096)
    return text


def _read_to_end(handle: int) -> bytes:
    text = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while more := os.read(handle, 4096):
            text += more
    return text


def test_code_that_counts_on_a_capa_toml_that_is_not_wanted_is_left(capa, tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text("from capa_celery import Celery\nCelery(broker='redis://h')\n")
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sys, "stdin", Keyboard("y\nn\n"))
    ran = capa("migrate", "apply", tmp_path, "-i", "--only", "addresses")

    assert "app.py: left as it is too: it depends on capa.toml\n" in ran.err
    assert "Celery(broker='redis://h')" in (tmp_path / "app.py").read_text()
