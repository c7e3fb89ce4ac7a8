"""Rules of other packages, installed as packages are: found, run and proven; broken ones are reported."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from parallel import made_once

PAGE = Path(__file__).parents[2] / "docs/how-to/write-a-rule.md"
SOURCE = """\
import acme
import requests


def greet(name):  # kept
    print("hello", name)
    return acme.connect(
        name,
    )
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


def _capa(project: Path, packages: Path, *words: object) -> Ran:
    return _run(project, packages, "from capa_migration.cli import main; sys.exit(main())", *words)


def _run(folder: Path, packages: Path, code: str, *words: object) -> Ran:
    command = [sys.executable, "-P", "-c", f"import sys\n{code}", *map(str, words)]
    environ = {**os.environ, "PYTHONPATH": str(packages)}
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=50)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def _package(folder: Path, name: str, points: str, **modules: str) -> Path:
    """Put a package there as an installer would."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    return folder


@pytest.fixture(scope="session")
def acme(run_folder: Path) -> Path:
    """The package of the page, built and installed by pip."""
    return made_once(run_folder / "acme", _install_acme)


def _install_acme(target: Path) -> None:
    source = target.with_name("acme-source")
    blocks = re.findall(
        r"^```\w+\n# (pyproject\.toml|acme_rules/\w+\.py)\n(.*?)^```",
        PAGE.read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert {"pyproject.toml", "acme_rules/retries.py", "acme_rules/prints.py"} == {name for name, _ in blocks}
    (source / "acme_rules").mkdir(parents=True)
    (source / "acme_rules/__init__.py").touch()
    for name, text in blocks:
        (source / name).write_text(text)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True, timeout=50)


@pytest.fixture
def project(tmp_path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'p'\n")
    (root / "app.py").write_text(SOURCE)
    return root


def test_rules_of_the_page_are_listed_as_rules_to_ask_for(acme, project):
    listed = _capa(project, acme, "migrate", "check", "--list-rules").out.splitlines()

    assert [
        "acme-print         the LibCST command acme_rules.prints:PrintToLog (only with --with)",
        "acme-retries       calls of acme.connect without retries= get the configured number (only with --with)",
    ] == [line for line in listed if line.startswith("acme")]


def test_rules_of_the_page_do_nothing_unasked(acme, project):
    ran = _capa(project, acme, "migrate", "diff", ".", "--only", "imports")

    assert "-import requests\n+import capa_requests as requests\n" in ran.out
    assert "retries" not in ran.out
    assert "log.info" not in ran.out


def test_rules_of_the_page_edit_beside_the_usual_ones_and_are_undone(acme, project):
    ran = _capa(project, acme, "migrate", "apply", ".", "--with", "acme-retries", "--with", "acme-print")
    after = (project / "app.py").read_text()
    again = _capa(project, acme, "migrate", "check", ".", "--with", "acme-retries,acme-print")
    _capa(project, acme, "migrate", "undo", ".")

    assert (0, "") == (ran.code, ran.err)
    assert (
        """\
import acme
import capa_requests as requests
from acme.log import log


def greet(name):  # kept
    log.info("hello", name)
    return acme.connect(
        name,
        retries=3,
    )
"""
        == after
    )
    assert 0 == again.code, again.out
    assert SOURCE == (project / "app.py").read_text()


def test_comment_that_keeps_a_command_from_one_line_keeps_it_from_the_file(acme, project):
    text = "print(1)\nprint(2)  # capa: ignore[acme-print]\n"
    (project / "app.py").write_text(text)

    ran = _capa(project, acme, "migrate", "apply", ".", "--with", "acme-print", "--notes")

    assert text == (project / "app.py").read_text()
    assert "a comment excludes one line, so nothing of the file is changed" in ran.out


def test_settings_reach_both_kinds_of_rules(acme, project):
    (project / "pyproject.toml").write_text(
        "[tool.capa.migrate]\nwith = ['acme-print', 'acme-retries']\nonly = ['acme-print', 'acme-retries']\n"
        "[tool.capa.migrate.acme-print]\nmodule = 'own.logs'\n[tool.capa.migrate.acme-retries]\nretries = 5\n"
    )
    ran = _capa(project, acme, "migrate", "diff", ".")

    assert "+from own.logs import log\n" in ran.out
    assert "+        retries=5,\n" in ran.out


def test_command_of_the_page_runs_under_the_tool_of_libcst(acme, project):
    code = "from libcst.tool import main; sys.exit(main('libcst.tool', sys.argv[1:]))"
    ran = _run(project, acme, code, "codemod", "--no-format", "-x", "acme_rules.prints.PrintToLog", "app.py")

    assert 0 == ran.code, ran.err
    assert 'log.info("hello", name)' in (project / "app.py").read_text()


def test_libcst_is_not_imported_for_other_rules(acme, project):
    code = "from capa_migration.cli import main; main(); print('libcst' in sys.modules)"
    ran = _run(project, acme, code, "migrate", "check", ".", "--with", "acme-retries,acme-print")

    assert "False" == ran.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise KeyError('x')", "raised KeyError: 'x'"),
        ("raise SystemExit(3)", "raised SystemExit: 3"),
        ("yield 'text'", "yielded 'text', which is no edit, finding or setting"),
        ("yield Edit('0', 1, b'', 'x')", "yielded wrong types"),
        ("yield Edit(0, 10_000, b'', 'x')", "yielded an edit outside the file, from 0 to 10000"),
        ("yield Finding('x', 1, 'loud', 'm', 'n')", "yielded a finding of the level 'loud'"),
        (
            "yield Edit(0, 6, b'def', 'x')",
            "makes edits that could not be proven: the result is no longer Python",
        ),
        ("yield Edit(0, 0, b'x = 1\\n', 'x')", "would change its own result again"),
    ],
)
def test_rule_that_fails_costs_nothing_but_itself(tmp_path, project, body, reason):
    text = f"""\
from capa_codemods.api import Edit, Finding, PythonFile, Rule
class Broken(Rule[PythonFile]):
    id, summary, reads, changes_shape = "broken", "breaks", PythonFile, True
    def check(self, file, project):
        {body}
        yield from ()
"""
    packages = _package(tmp_path / "lib", "shaky", "[capa.rules]\nbroken = shaky:Broken\n", shaky=text)
    ran = _capa(project, packages, "migrate", "apply", ".", "--with", "broken")

    assert 2 == ran.code
    assert f"app.py:1: error: the rule `broken` of shaky 1.0 {reason}" in ran.out
    assert "--skip broken leaves the rule out" in ran.out
    assert (
        SOURCE.replace("import requests", "import capa_requests as requests")
        == (project / "app.py").read_text()
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "import not_there",
            "cannot be loaded from shaky:Broken (ModuleNotFoundError: No module named 'not_there')",
        ),
        ("def Broken(): raise ValueError('no')", "cannot be loaded from shaky:Broken (ValueError: no)"),
        ("Broken = dict", "shaky:Broken, is no subclass of capa_codemods.api.Rule"),
        (
            "from capa_codemods.rules.imports import Imports\nclass Broken(Imports): id = 'other'",
            "calls itself `other`, which is not the name of its entry point",
        ),
    ],
)
def test_rule_that_cannot_be_loaded_is_named_before_a_file_is_read(tmp_path, project, text, reason):
    packages = _package(tmp_path / "lib", "shaky", "[capa.rules]\nbroken = shaky:Broken\n", shaky=text)
    ran = _capa(project, packages, "migrate", "apply", ".")
    without = _capa(project, packages, "migrate", "apply", ".", "--skip", "broken")

    assert (2, "") == (ran.code, ran.out)
    assert "the rule `broken` of shaky 1.0" in ran.err
    assert reason in ran.err
    assert "leave it out with --skip broken" in ran.err
    assert 0 == without.code


def test_two_rules_of_one_id_are_refused(tmp_path, project):
    packages = _package(tmp_path / "lib", "shaky", "[capa.rules]\nimports = shaky:Broken\n", shaky="")
    ran = _capa(project, packages, "migrate", "check", ".")

    assert 2 == ran.code
    assert (
        "two rules are called `imports`, of capa-core and of shaky 1.0: rename the entry point of one"
        in ran.err
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("import os; os.abort()", "its process ended, or took more than a minute"),
    ],
)
def test_command_that_fails_costs_nothing_but_itself(tmp_path, project, body, reason):
    text = f"""\
from libcst.codemod import CodemodCommand
class Broken(CodemodCommand):
    def transform_module_impl(self, tree):
        {body}
"""
    packages = _package(tmp_path / "lib", "shaky", "[capa.commands]\nbroken = shaky:Broken\n", shaky=text)
    ran = _capa(project, packages, "migrate", "apply", ".", "--with", "broken")

    assert 2 == ran.code
    assert "error: the rule `broken` of shaky 1.0 failed: " in ran.out
    assert reason in ran.out
    assert "import capa_requests as requests" in (project / "app.py").read_text()


def test_module_of_the_project_is_not_taken_for_one_of_python(acme, project):
    for name in ("json", "libcst", "acme_rules"):
        (project / f"{name}.py").write_text("raise SystemExit('imported from the project')\n")
    ran = _capa(project, acme, "migrate", "diff", ".", "--only", "acme-print")

    assert "+    log.info" in ran.out
