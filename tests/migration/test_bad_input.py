"""Bad input and bad surroundings: a finding or a clear error, and nothing lost."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys

import pytest

from capa_codemods.write.journal import Journal


def _as_anybody(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run *words* as a user other than root, bound by the modes of files."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip(
                "root is bound by no mode, and there is no setpriv to change that: install util-linux"
            )
        words = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *words]
    return subprocess.run(words, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"import requests\nx = '\xff'\n", "not Python"),
        (b"# coding: no-such\nimport requests\n", "not Python"),
        (b"import requests\n\x00\n", "not Python"),
        (b"import requests\nx = " + b"(" * 10_000 + b")" * 10_000 + b"\n", "not Python"),
        (b"import requests\nprint 'x'\n", "not Python"),
        (
            b"import requests  # " + b"x" * 5_000_000 + b"\n",
            "the file has 4 MB, which is more than is parsed",
        ),
    ],
    ids=["bytes", "cookie", "null", "nested", "python2", "large"],
)
def test_file_that_cannot_be_read_is_named_and_left(capa, project, snapshot, data, reason):
    (project / "app/odd.py").write_bytes(data)

    ran = capa("migrate", "apply", project, "--json")
    (failure,) = json.loads(ran.out)["failures"]

    assert 2 == ran.code
    assert "app/odd.py" == failure["path"]
    assert failure["reason"].startswith(reason)
    assert failure["next_step"]
    assert data == (project / "app/odd.py").read_bytes()
    assert b"capa_requests" in snapshot(project)["app/api.py"]


def test_links_pipes_and_loops_are_passed_over(capa, project, tmp_path):
    (tmp_path / "outside.py").write_text("import requests\n")
    (project / "app/link.py").symlink_to(tmp_path / "outside.py")
    (project / "app/dangling.py").symlink_to("nowhere.py")
    (project / "app/loop.py").symlink_to("loop.py")
    (project / "app/circle").symlink_to(project)
    os.mkfifo(project / "app/pipe.py")

    ran = capa("migrate", "apply", project)

    assert (0, 3) == (ran.code, ran.out.count("imports: ") + ran.out.count("strings: "))
    assert "import requests\n" == (tmp_path / "outside.py").read_text()
    assert (project / "app/link.py").is_symlink()


def test_link_to_a_project_is_followed_where_the_user_names_it(capa, project, tmp_path):
    (tmp_path / "link").symlink_to(project)

    assert 0 == capa("migrate", "apply", tmp_path / "link").code
    assert "import capa_requests" in (project / "app/api.py").read_text()


def test_tree_that_cannot_be_written_to_is_checked_and_not_torn(capa_process, project, snapshot):
    before = snapshot(project)
    for path in (project, project / "app", project / "tests"):
        path.chmod(0o555)

    checked = _as_anybody(capa_process("migrate", "check", project))
    applied = _as_anybody(capa_process("migrate", "apply", project))

    assert (1, 2) == (checked.returncode, applied.returncode)
    assert "Permission denied: allow writing there and run again; nothing was changed" in applied.stderr
    assert before == snapshot(project)


def test_folder_that_cannot_be_written_to_is_named_and_the_others_are_rewritten(capa_process, project):
    for path in (project, project / "app", project / "tests"):
        path.chmod(0o777)
    (project / "app").chmod(0o555)

    ran = _as_anybody(capa_process("migrate", "apply", project))

    assert 2 == ran.returncode
    assert (
        "app/api.py: failed: cannot be written: Permission denied; it was left as it is: allow writing there"
        in ran.stdout
    )
    assert "import requests\n" == (project / "app/api.py").read_text().splitlines(keepends=True)[0]
    assert '@patch("capa_requests.get")' in (project / "tests/test_api.py").read_text()


def test_file_that_may_not_be_read_is_named(capa_process, project):
    (project / "app/secret.py").write_text("import requests\n")
    (project / "app/secret.py").chmod(0)

    ran = _as_anybody(capa_process("migrate", "check", project))

    assert 2 == ran.returncode
    assert "app/secret.py: failed: cannot be read: Permission denied. Next: allow reading it" in ran.stdout


def test_interrupted_apply_is_shown_and_undone_by_the_next(capa, capa_process, project, snapshot):
    before = snapshot(project)
    assert 0 == capa("migrate", "apply", project).code
    (record,) = Journal(str(project)).records("applied")
    record.become("applying")  # as a kill before the last step leaves it

    shown = capa("migrate", "status", project)
    again = capa("migrate", "apply", project)
    undone = capa("migrate", "undo", project)

    assert "0001  applying" in shown.out
    assert "A run was cut short." in shown.out
    assert "an earlier run was cut short: 3 files undone first" in again.out
    assert (0, before) == (undone.code, snapshot(project))


def test_interrupted_run_does_not_make_the_tree_dirty(capa, project, git):
    capa("migrate", "apply", project)
    (record,) = Journal(str(project)).records("applied")
    record.become("applying")

    assert 0 == capa("migrate", "apply", project).code


def test_second_writing_run_is_refused(capa, project):
    with Journal(str(project)).lock():
        ran = capa("migrate", "apply", project)

    assert 3 == ran.code
    assert "another run of capa is writing in" in ran.err


def test_damaged_journal_stops_an_undo(capa, project, snapshot):
    capa("migrate", "apply", project)
    after = snapshot(project)
    (project / ".capa-migrate/journal/0001.applied/plan.json").write_text("{")

    ran = capa("migrate", "undo", project)

    assert 2 == ran.code
    assert "plan.json is damaged" in ran.err
    assert after == snapshot(project)


def test_undo_conflict_exits_with_2_and_names_the_file(capa, project):
    capa("migrate", "apply", project)
    (project / "app/api.py").write_text("import capa_requests as requests, os\n")

    ran = capa("migrate", "undo", project)

    assert 2 == ran.code
    assert (
        "app/api.py: failed: app/api.py has been edited since, on lines that the rewrite changed" in ran.out
    )
    assert "2 files restored." in ran.out
    assert "import capa_requests as requests, os\n" == (project / "app/api.py").read_text()


def test_undo_around_the_users_own_edits(capa, project):
    capa("migrate", "apply", project)
    text = (project / "app/api.py").read_text()
    (project / "app/api.py").write_text(f"# mine\n{text}")

    ran = capa("migrate", "undo", project)

    assert "app/api.py: restored around your own edits" in ran.out
    assert (project / "app/api.py").read_text().startswith("# mine\nimport requests\n")


def test_cache_from_a_stranger_runs_nothing(capa, project):
    capa("migrate", "check", project)
    for text in ("", "\n\n\n", "capa-settled-files 1\n\n\tx\n", "\x00" * 100):
        (project / ".capa-migrate/settled").write_text(text)

        assert 1 == capa("migrate", "check", project).code


def test_changed_file_is_seen_in_spite_of_the_cache(capa, project):
    capa("migrate", "apply", project)
    for path in project.rglob("*.py"):
        os.utime(path, (1, 1))
    assert 0 == capa("migrate", "check", project).code
    (project / "app/plain.py").write_text("import celery")
    os.utime(project / "app/plain.py", (1, 1))

    assert 1 == capa("migrate", "check", project).code


def test_diff_leaves_no_cache(capa, project):
    capa("migrate", "diff", project)

    assert not (project / ".capa-migrate").exists()


def test_findings_come_from_the_cache_until_something_changes(capa, project):
    (project / "lib.py").write_text("import pyapollo\n")
    for path in project.rglob("*.py"):
        os.utime(path, (1, 1))
    capa("migrate", "apply", project)
    for path in project.rglob("*.py"):
        os.utime(path, (1, 1))
    first = capa("migrate", "check", project, "--notes").out
    second = capa("migrate", "check", project, "--notes").out
    (project / "requirements.txt").write_text("pyapollo\ncapa-core[apollo]\n")

    assert "lib.py:1: note: `pyapollo` is a frequent name" in first
    assert first == second
    assert (
        "lib.py:1: imports: import pyapollo → import capa_apollo.pyapollo as pyapollo"
        in capa("migrate", "check", project).out
    )


def test_colour_on_a_terminal_only(capa_process, project):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        capa_process("migrate", "diff", project),
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    text = b""
    while chunk := _read(ours):
        text += chunk
    process.wait()
    os.close(ours)

    assert b"\x1b[31m-import requests\x1b[0m" in text
    assert b"\x1b[32m+import capa_requests as requests\x1b[0m" in text


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": ""}, False),
    ],
    ids=["forced", "refused", "empty"],
)
def test_colour_can_be_forced_and_refused(capa, project, monkeypatch, variables, is_coloured):
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    out = capa("migrate", "check", project).out

    assert is_coloured is ("\x1b[1mapp/api.py:1:\x1b[0m imports: import requests" in out)
    assert is_coloured is ("\x1b" in out)


@pytest.mark.parametrize(("level", "colour"), [("failed", "31"), ("warning", "33"), ("note", "36")])
def test_levels_have_colours_of_their_own(level, colour):
    from capa_migration.cli.paint import painted

    assert f"\x1b[1ma b.py:3:\x1b[0m\x1b[{colour}m {level}:\x1b[0m why\n" == painted(
        f"a b.py:3: {level}: why\n"
    )


@pytest.mark.parametrize(("option", "is_coloured"), [("--color", True), ("--no-color", False)])
@pytest.mark.parametrize("variable", ["NO_COLOR", "FORCE_COLOR"])
@pytest.mark.parametrize("words", [("scan",), ("migrate", "check")])
def test_colour_option_overrides_the_environment(
    capa, project, monkeypatch, option, is_coloured, variable, words
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(variable, "1")

    assert is_coloured is ("\x1b" in capa(*words, project, option).out)


def test_file_and_state_of_a_scan_have_colours(capa, project):
    (project / "app/cache.py").write_text("import redis\n")

    assert (
        "\x1b[1mapp/cache.py:\x1b[0m\n  1  \x1b[31mnone\x1b[0m  import of redis:"
        in capa("scan", project, "--color").out
    )


def test_colour_is_for_text_alone(capa, project, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")

    assert "\x1b" not in capa("migrate", "check", project, "--format", "github").out


def test_progress_line_at_a_terminal_for_long_runs(monkeypatch, capsys):
    from capa_migration.cli import terminal

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    clock = iter([0.0, 0.5, 2.0, 2.1, 3.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    with terminal.ProgressLine() as line:
        for done in (1, 50, 51, 75):
            line(done, 100)

    err = capsys.readouterr().err
    assert "50 of 100 files, 25/s, 2 s left" in err
    assert "75 of 100 files, 25/s, 1 s left" in err
    assert "51 of" not in err


def test_progress_line_knows_no_rate_before_the_first_file(monkeypatch, capsys):
    from capa_migration.cli import terminal

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    clock = iter([0.0, 5.0, 10.0, 15.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    line = terminal.ProgressLine()
    for done in (0, 0, 50):
        line(done, 1_000)

    assert (
        "\r0 of 1,000 files\r0 of 1,000 files\r50 of 1,000 files, 10/s, 95 s left" == capsys.readouterr().err
    )


def test_progress_is_shown_while_files_are_written_and_restored(capa, project, monkeypatch):
    shown = []
    monkeypatch.setattr(
        "capa_migration.cli.terminal.ProgressLine.__call__", lambda _, *numbers: shown.append(numbers)
    )
    capa("migrate", "check", project)
    shown.clear()
    capa("migrate", "apply", project)
    applied = [numbers for numbers in shown if numbers[1] == 3]
    shown.clear()

    capa("migrate", "undo", project)

    assert [(0, 3), (1, 3), (2, 3)] == applied[-3:] == shown


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 4096)
    except OSError:  # the other end is closed: a terminal says so with an error
        return b""
