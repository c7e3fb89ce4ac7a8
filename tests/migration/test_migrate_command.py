"""`capa migrate`: the effect, output and exit code of each action."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import pytest

AFTER_API = "import capa_requests as requests\n\n\ndef load(url):\n    return requests.get(url).json()\n"


def test_check_changes_nothing_and_exits_with_1(capa, project, snapshot):
    before = snapshot(project)

    ran = capa("migrate", "check", project)

    assert 1 == ran.code
    assert before == snapshot(project)
    assert "app/api.py:1: imports: import requests → import capa_requests as requests\n" in ran.out
    assert "3 files would change, 3 proven; 5 files checked." in ran.out
    assert f"`capa migrate apply {project}` makes them." in ran.out


def test_check_of_a_clean_tree_exits_with_0(capa, project):
    capa("migrate", "apply", project)

    ran = capa("migrate", "check", project)

    assert (0, "nothing to do in 5 files\n") == (ran.code, ran.out)


def test_apply_makes_the_changes_of_check(capa, project, snapshot):
    ran = capa("migrate", "apply", project)

    assert 0 == ran.code
    assert AFTER_API == (project / "app/api.py").read_text()
    assert "from capa_celery import Celery\n\napp = Celery()\n" == (project / "app/tasks.py").read_text()
    assert '@patch("capa_requests.get")' in (project / "tests/test_api.py").read_text()
    assert "import requests\n" == (project / "README.md").read_text()
    assert "3 files changed, 3 proven" in ran.out
    assert f"`capa migrate undo {project}` undoes all of it." in ran.out


def test_second_apply_changes_nothing(capa, project, snapshot):
    capa("migrate", "apply", project)
    before = snapshot(project)

    ran = capa("migrate", "apply", project)

    assert 0 == ran.code
    assert before == snapshot(project)
    assert "nothing to do in 5 files\n" == ran.out


def test_undo_restores_every_byte(capa, project, snapshot):
    (project / "app/odd.py").write_bytes(b"\xef\xbb\xbfimport requests\r\n\x0c\r# \xc3\xa9\nimport celery")
    before = snapshot(project)
    capa("migrate", "apply", project)

    ran = capa("migrate", "undo", project)

    assert (0, "4 files restored.\n") == (ran.code, ran.out)
    assert before == snapshot(project)


def test_undo_reverts_one_rewrite_at_a_time(capa, project, snapshot):
    first = snapshot(project)
    capa("migrate", "apply", project, "--only", "imports")
    second = snapshot(project)
    capa("migrate", "apply", project)

    assert "1 file restored.\n" == capa("migrate", "undo", project).out
    assert second == snapshot(project)
    assert "2 files restored.\n" == capa("migrate", "undo", project).out
    assert first == snapshot(project)


def test_undo_goes_down_to_a_number_of_the_status(capa, project, snapshot):
    first = snapshot(project)
    capa("migrate", "apply", project, "--only", "imports")
    capa("migrate", "apply", project)
    assert f"`capa migrate undo {project} --to 1` all of them." in capa("migrate", "status", project).out

    ran = capa("migrate", "undo", project, "--to", "1")

    assert (0, "3 files restored.\n", first) == (ran.code, ran.out, snapshot(project))


def test_undo_down_to_a_number_ends_at_a_conflict(capa, project):
    capa("migrate", "apply", project, "--only", "imports")
    capa("migrate", "apply", project)
    (project / "tests/test_api.py").write_text('@patch("capa_requests.post")\n')

    ran = capa("migrate", "undo", project, "--to", "1")

    assert 2 == ran.code
    assert "import capa_requests" in (project / "app/api.py").read_text()


def test_undo_down_to_a_number_that_is_not_there_is_refused(capa, project):
    capa("migrate", "apply", project)

    ran = capa("migrate", "undo", project, "--to", "7")

    assert 3 == ran.code
    assert "there is no rewrite 7: `capa migrate status` lists them" in ran.err


def test_undo_without_a_rewrite_is_reported_and_leaves_no_trace(capa, project):
    ran = capa("migrate", "undo", project)

    assert (0, f"{project}: nothing to undo: its journal holds no rewrite\n") == (ran.code, ran.out)
    assert not (project / ".capa-migrate").exists()


def test_diff_is_a_patch_that_git_applies(capa, project, git, snapshot):
    (project / "app/crlf.py").write_bytes(b"import os\r\nimport requests\r\nx = 1\r\n")
    (project / "app/no_newline.py").write_bytes(b"a = 1\nb = 2\nc = 3\nd = 4\nimport celery")
    (project / "app/two.py").write_text(
        "import requests\n" + "\n".join(map(str, range(20))) + "\nimport celery\nx\n"
    )
    (project / "app/split.py").write_text("from requests import get, packages\n")
    ran = capa("migrate", "diff", project)
    patch = project.parent / "capa.patch"
    patch.write_bytes(ran.out.encode(errors="surrogateescape"))
    capa("migrate", "apply", project, "--allow-dirty")
    applied = snapshot(project)
    capa("migrate", "undo", project)

    git("apply", "--whitespace=nowarn", str(patch))

    assert 1 == ran.code
    assert applied == snapshot(project)
    assert "7 files would change, 7 proven" in ran.err


def test_part_of_a_tree_can_be_rewritten(capa, project):
    capa("migrate", "apply", project / "app" / "api.py")

    assert AFTER_API == (project / "app/api.py").read_text()
    assert "from celery" in (project / "app/tasks.py").read_text()


def test_undo_finds_the_journal_of_the_tree_around(capa, project):
    (project / "pyproject.toml").write_text("")
    capa("migrate", "apply", project)

    ran = capa("migrate", "undo", project / "app")

    assert "3 files restored.\n" == ran.out


def test_status_lists_applied_rewrites(capa, project):
    assert "no rewrite has been applied" in capa("migrate", "status", project).out
    capa("migrate", "apply", project)

    assert re.fullmatch(
        r"0001  applied   \d{4}-\d\d-\d\d \d\d:\d\d  3 files  imports, strings\n",
        capa("migrate", "status", project).out,
    )


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["--only", "imports"], 2),
        (["--only", "strings"], 1),
        (["--skip", "imports"], 1),
        (["--only", "imports,strings"], 3),
        (["--exclude", "app"], 1),
        (["--exclude", "tests/", "--exclude", "app/api.py"], 1),
        (["--exclude", "./app"], 1),
    ],
)
def test_rules_and_files_can_be_chosen(capa, project, words, changed):
    ran = capa("migrate", "check", project, *words)

    assert f"{changed} file{'s'[: changed > 1]} would change, {changed} proven" in ran.out


def test_pyproject_can_choose_too(capa, project):
    (project / "pyproject.toml").write_text(
        '[tool.capa.migrate]\nskip = ["strings"]\nexclude = ["app/api.py"]\n'
    )

    ran = capa("migrate", "check", project)

    assert "1 file would change, 1 proven" in ran.out


def test_list_rules(capa):
    ran = capa("migrate", "check", "--list-rules")

    assert 0 == ran.code
    assert f"{'imports':<18} imports of an SDK come from its adapter, under the same names\n" in ran.out


def test_json_holds_changes_failures_and_findings(capa, project):
    (project / "app/old.py").write_text("import requests\nprint 'x'\n")
    (project / "app/odd.py").write_text("import requests.foo\n")

    ran = capa("migrate", "check", project, "--json")
    data = json.loads(ran.out)

    assert (2, 2) == (ran.code, data["exit"])
    expected = {"seen": 7, "changed": 3, "proven": 3, "failed": 1, "passed_over": {"kind": 1}}
    assert expected == data["files"]
    assert ["app/api.py", "app/tasks.py", "tests/test_api.py"] == [
        change["path"] for change in data["changes"]
    ]
    assert {
        "rule": "imports",
        "line": 1,
        "before": "import requests",
        "after": "import capa_requests as requests",
    } == data["changes"][0]["edits"][0]
    assert ("app/old.py", 2) == (data["failures"][0]["path"], data["failures"][0]["line"])
    assert (
        "it looks like Python 2: port it to Python 3 first, or leave it out with --exclude"
        == data["failures"][0]["next_step"]
    )
    assert ("app/odd.py", 1, "warning") == tuple(
        data["findings"][0][key] for key in ("path", "line", "level")
    )


def test_json_of_apply_undo_and_status(capa, project):
    applied = json.loads(capa("migrate", "apply", project, "--json").out)
    standing = json.loads(capa("migrate", "status", project, "--json").out)
    undone = json.loads(capa("migrate", "undo", project, "--json").out)

    paths = ["app/api.py", "app/tasks.py", "tests/test_api.py"]
    assert (0, None, paths) == (applied["exit"], applied["recovered"], applied["result"]["written"])
    (rewrite,) = standing["rewrites"]
    assert time.time() - 60 < rewrite.pop("begun") < time.time() + 2
    assert {
        "number": 1,
        "state": "applied",
        "files": 3,
        "rules": ["imports", "strings"],
        "as_written": 3,
        "edited": 0,
        "original": 0,
        "gone": 0,
    } == rewrite
    assert paths == undone["result"]["written"]


def test_notes_are_counted_and_shown_on_request(capa, project):
    (project / "app/log.py").write_text('import logging\nlogging.getLogger("requests")\n')

    shown = capa("migrate", "check", project, "--notes").out

    assert "1 note (--notes shows them)" in capa("migrate", "check", project).out
    assert "app/log.py:2: note: the logger" in shown
    assert "; 1 note; " in shown


def test_failed_file_is_listed_and_the_others_are_rewritten(capa, project):
    (project / "app/broken.py").write_text("import requests\ndef f(:\n")

    ran = capa("migrate", "apply", project)

    assert 2 == ran.code
    assert "app/broken.py:2: failed: not Python" in ran.out
    assert AFTER_API == (project / "app/api.py").read_text()


def test_dirty_git_tree_is_refused_before_anything_else(capa, project, git, snapshot):
    (project / "app/plain.py").write_text("import sys\n")
    before = snapshot(project)

    ran = capa("migrate", "apply", project)

    assert 3 == ran.code
    assert before == snapshot(project)
    assert "uncommitted changes in 1 file (app/plain.py)" in ran.err
    assert "pass --allow-dirty" in ran.err
    assert not (project / ".capa-migrate").exists()


def test_dirty_git_tree_can_be_allowed(capa, project, git):
    (project / "app/plain.py").write_text("import sys\n")

    assert 0 == capa("migrate", "apply", project, "--allow-dirty").code


def test_clean_git_tree_is_rewritten_and_capa_leaves_nothing_for_git_to_see(capa, project, git):
    assert 0 == capa("migrate", "apply", project).code

    assert [" M app/api.py", " M app/tasks.py", " M tests/test_api.py"] == git(
        "status", "--short"
    ).splitlines()


def test_files_that_git_ignores_are_left_alone(capa, project, git):
    (project / ".gitignore").write_text("app/api.py\n")
    git("rm", "-q", "--cached", "app/api.py")
    git("add", ".gitignore")
    git("commit", "-q", "-m", "ignore")

    capa("migrate", "apply", project)

    assert "import requests" == (project / "app/api.py").read_text().splitlines()[0]


def test_tree_that_git_ignores_as_a_whole_is_a_tree_of_its_own(capa, project, git):
    (project / ".gitignore").write_text("build/\n")
    git("add", ".gitignore")
    git("commit", "-q", "-m", "ignore")
    copy = project / "build" / "copy"
    copy.mkdir(parents=True)
    (copy / "a.py").write_text("import requests\n")

    capa("migrate", "apply", copy)

    assert "import capa_requests as requests\n" == (copy / "a.py").read_text()
    assert "1 file restored.\n" == capa("migrate", "undo", copy).out


def test_programs_of_the_repository_are_not_run(capa, project, git, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    (project / ".gitattributes").write_text("*.py filter=trap\n")
    (project / "sitecustomize.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nimport requests\n")
    (project / "conftest.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\n")
    git("add", "-A")
    git("commit", "-q", "-m", "trap")
    git("config", "core.fsmonitor", str(trap))
    git("config", "filter.trap.clean", str(trap))
    git("config", "core.hooksPath", str(tmp_path))
    os.utime(project / "app/api.py")

    capa("migrate", "apply", project)

    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["migrate", "check", "/no/such/place"], "/no/such/place: the file or folder does not exist"),
        (["migrate", "check", ".", "--only", "import"], "there is no rule `import`"),
        (["migrate", "check", ".", "--only", "imports", "--skip", "imports"], "no rule is left to run"),
        (["migrate", "check", ".", "--exclude", "ap"], "--exclude ap: no such file or folder in "),
        (["scan", ".", "--exclude", "ap"], "--exclude ap: no such file or folder in "),
        (["migrate", "frobnicate"], "invalid choice: 'frobnicate'"),
        (["migrate"], "the following arguments are required: ACTION"),
        (["migrate", "check", "--frobnicate"], "unrecognized arguments: --frobnicate"),
        (["frobnicate"], "there is no command `frobnicate`"),
    ],
)
def test_wrong_usage_exits_with_3_and_is_named(capa, words, message, monkeypatch, project):
    monkeypatch.chdir(project)

    ran = capa(*words)

    assert 3 == ran.code
    assert message in ran.err


def test_wrong_usage_in_a_process_of_its_own(capa_process):
    ran = subprocess.run(capa_process("migrate", "check", "--frob"), capture_output=True, text=True)

    assert 3 == ran.returncode
    assert "unrecognized arguments: --frob" in ran.stderr
    assert "--help` lists the options" in ran.stderr


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('[tool.capa.migrate]\nexcluded = ["x"]\n', "unknown key `excluded`: did you mean `exclude`?"),
        ('[tool.capa.migrate]\nskip = "strings"\n', "skip must be a list of strings, not 'strings'"),
        ("[tool.capa.migrate\n", "not TOML"),
    ],
)
def test_wrong_settings_are_named(capa, project, table, message):
    (project / "pyproject.toml").write_text(table)

    ran = capa("migrate", "check", project)

    assert 3 == ran.code
    assert message in ran.err


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('[tool.capa.migrate]\nexcluded = ["x"]\n', 2),
        ('skip = 1\n[tool.capa.migrate]\n\nskip = "strings"\n', 4),
        ("[tool.capa]\nmigrate = 1\n", 2),
        ("[tool.capa]\nmigrat = 1\n", 2),
        ('[tool.capa.migrat]\nexclude = ["x"]\n', 1),
        ('[tool.capa.migrate]\nskip = [\n  "strings",\n  "nosuch",\n]\n', 4),
        ('[tool.capa.migrate]\nexclude = [\n  "gen*"]\n', 3),
        ("[tool.capa.migrate]\nskip = []\n[tool.capa.migrate.imports]\nx = 1\n", 4),
    ],
)
def test_wrong_setting_is_reported_with_its_place(capa, project, table, line):
    (project / "pyproject.toml").write_text(table)

    assert f"{project}/pyproject.toml:{line}: " in capa("migrate", "check", project).err


@pytest.mark.parametrize("name", ["gen*", "x/*.py", "[ab]"])
def test_pattern_in_exclude_is_refused(capa, project, name):
    (project / "pyproject.toml").write_text(f'[tool.capa.migrate]\nexclude = ["{name}"]\n')

    ran = capa("migrate", "check", project)

    assert 3 == ran.code
    assert (
        f"exclude accepts folders and files, and `{name}` is a pattern: name the folder, or each file"
        in ran.err
    )


def test_absent_path_in_exclude_is_a_note(capa, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.capa.migrate]\nexclude = ["nope"]\n')
    first, again = (capa("migrate", "check", tmp_path, "--notes") for _ in range(2))

    assert first == again
    assert 0 == first.code
    assert f"pyproject.toml:2: note: exclude names `nope`, which does not exist in {tmp_path}." in first.out


def test_folder_that_is_called_like_a_pattern_is_excluded(capa, project):
    (project / "pyproject.toml").write_text(
        '[tool.capa.migrate]\nexclude = ["app[1]", "app", "tests", "build"]\n'
    )
    (project / "app[1]").mkdir()

    assert 0 == capa("migrate", "check", project).code


def test_without_an_adapter_there_is_nothing_to_rewrite_to(capa, no_maps, project):
    ran = capa("migrate", "check", project)

    assert 3 == ran.code
    assert "no adapter is installed" in ran.err


def test_help_of_everything_has_an_example(capsys):
    from capa_migration.cli import main

    for words in (["migrate"], ["migrate", "check"], ["migrate", "undo"]):
        with pytest.raises(SystemExit) as exit_:
            main([*words, "--help"])
        out = capsys.readouterr().out

        assert 0 == exit_.value.code
        assert "capa migrate" in out.split("example", 1)[1]


def test_output_to_a_closed_pipe_ends_quietly(capa_process, project):
    for number in range(300):
        (project / f"app/m{number}.py").write_text("import requests\n" * 30)
    process = subprocess.Popen(
        capa_process("migrate", "check", project), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.read(10)
    process.stdout.close()

    assert b"" == process.stderr.read()
    process.stderr.close()
    assert 141 == process.wait()


def test_no_colour_and_no_progress_without_a_terminal(capa, project):
    ran = capa("migrate", "diff", project)

    assert "\x1b" not in ran.out + ran.err
    assert "\r" not in ran.err


def test_a_file_name_that_is_no_unicode_is_shown(capa, project):
    name = os.fsdecode(b"app/caf\xe9.py")
    (project / name).write_text("import requests\n")

    ran = capa("migrate", "apply", project)

    assert 0 == ran.code
    assert "app/caf\\udce9.py:1: imports:" in ran.out
    assert b"import capa_requests as requests\n" == (project / name).read_bytes()
    assert sys.getfilesystemencoding() == "utf-8"


HEAVY = (
    "asyncio",
    "codeowners",
    "difflib",
    "email",
    "importlib.metadata",
    "libcst",
    "rich",
    "shtab",
    "shutil",
    "tomllib",
    "typer",
)


TELLING = """\
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
from capa_migration.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("words", [["--version"], ["migrate", "check", "."]])
def test_nothing_heavy_is_loaded_when_there_is_nothing_to_do(capa, project, words):
    capa("migrate", "apply", project)
    for path in project.rglob("*.*"):
        os.utime(path, (1, 1))  # a file that is written just now is looked at again

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", TELLING, *words], cwd=project, capture_output=True, text=True
        )

    run()  # what is clean is known from here on
    ran = run()
    loaded = ran.stderr.split()

    assert (0, []) == (ran.returncode, [name for name in HEAVY if name in loaded])
    assert "capa_migration.cli" in loaded


@pytest.mark.parametrize("command", ["scan", "migrate check", "migrate diff", "migrate apply"])
def test_a_file_name_with_a_line_end_is_printed_in_one_line(capa, project, command):
    (project / "app/new\nline.py").write_text("from requests import packages\nimport celery.apps\nprint 1\n")

    ran = capa(*command.split(), project)

    assert "app/new\\x0aline.py" in ran.out + ran.err
    assert not any(line.startswith("line.py") for line in (ran.out + ran.err).splitlines())


def test_diff_reports_findings_outside_the_patch(capa, project):
    (project / "app/left.py").write_text("from requests import packages\nd.get('celery')\n")
    warning, note = "app/left.py:1: warning:", "app/left.py:2: note:"

    ran = capa("migrate", "diff", project)
    noted = capa("migrate", "diff", project, "--notes")

    assert (True, False) == (warning in ran.err, note in ran.err)
    assert "(--notes shows them)" in ran.err.splitlines()[-1]
    assert (True, True) == (warning in noted.err, note in noted.err)
    assert "(--notes shows them)" not in noted.err
    assert ran.out == noted.out
