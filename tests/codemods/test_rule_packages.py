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

pytestmark = pytest.mark.timeout(120)

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
    ("body", "cpu_s", "reason"),
    [
        ("raise KeyError('x')", 60, "KeyError: 'x'"),
        ("raise SystemExit(3)", 60, "SystemExit: 3"),
        ("import os; os.abort()", 60, "its process ended (SIGABRT)"),
        ("import os; os._exit(4)", 60, "its process ended (exit code 4)"),
        (
            "while True: pass",
            1,
            "it took more than 1 s of CPU time: `cpu_s = 2` in [tool.capa.migrate.broken]",
        ),
        (
            "import time; time.sleep(60)",
            0.2,
            "it waited for 2 s: `cpu_s = 0.4` in [tool.capa.migrate.broken]",
        ),
    ],
)
def test_command_that_fails_costs_nothing_but_itself(tmp_path, project, body, cpu_s, reason):
    text = f"""\
from libcst.codemod import CodemodCommand
class Broken(CodemodCommand):
    def transform_module_impl(self, tree):
        {body}
"""
    packages = _package(tmp_path / "lib", "shaky", "[capa.commands]\nbroken = shaky:Broken\n", shaky=text)
    (project / "pyproject.toml").write_text(f"[tool.capa.migrate.broken]\ncpu_s = {cpu_s}\n")
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
