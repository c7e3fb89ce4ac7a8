"""`capa run`: an unmodified application, its imports redirected, however it starts Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(120)

CAPA = [sys.executable, "-c", "import sys; from capa_migration.cli import main; sys.exit(main())", "run"]
SAY = "import requests\nprint(requests.__name__)\n"


@pytest.fixture
def application(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    (tmp_path / "pkg/mod.py").write_text(SAY)
    (tmp_path / "app.py").write_text(SAY)
    return tmp_path


@pytest.fixture
def trial(application):
    def run(*command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})}
        return subprocess.run(
            [*CAPA, *command], cwd=application, capture_output=True, text=True, env=variables
        )

    return run


@pytest.mark.parametrize(
    "command",
    [
        ["python", "app.py"],
        ["python", "-m", "pkg.mod"],
        ["python", "-c", SAY],
        ["python3", "-c", "import pkg.mod"],
        [sys.executable, "app.py"],
        ["python", "-c", "import subprocess, sys; subprocess.run([sys.executable, 'app.py'])"],
        ["python", "-c", "import importlib; print(importlib.import_module('requests').__name__)"],
        ["python", "-c", "import runpy; runpy.run_path('app.py')"],
        ["sh", "-c", "python app.py"],
        ["env", "A=b", "python", "app.py"],
    ],
)
def test_imports_of_the_project_are_redirected(trial, command):
    ran = trial("--", *command)

    assert (0, "capa_requests\n") == (ran.returncode, ran.stdout), ran.stderr


def test_variables_of_a_trial_are_no_settings_of_the_core(trial):
    ran = trial("--", "python", "-c", "import capa_core; print(capa_core.default_runtime().loaded.profile)")

    assert (0, "None\n") == (ran.returncode, ran.stdout), ran.stderr


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        ("import requests.sessions; print(requests.sessions.__name__)", "capa_requests.sessions"),
        ("import requests.sessions as s; print(s.__name__)", "capa_requests.sessions"),
        ("from requests import sessions, Session; print(sessions.Session is Session)", "True"),
        ("from requests import *; print(get.__module__)", "capa_requests.api"),
        ("from requests import no_such_name", ""),
        ("import requests.no_such_module", ""),
        ("def f():\n    import requests\n    return requests\nprint(f().__name__)", "capa_requests"),
        ("import json, os; print(json.__name__)", "json"),
    ],
)
def test_every_form_of_import_gives_the_result_of_the_rewrite(trial, application, source, printed):
    (application / "form.py").write_text(source)

    ran = trial("--", "python", "form.py")

    assert printed == ran.stdout.strip()
    assert (ran.returncode == 0) is bool(printed)


def test_code_outside_the_project_has_the_original(trial, application, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "library.py").write_text("import requests\nname = requests.__name__\n")

    ran = trial(
        "--", "python", "-c", "import library; print(library.name)", environment={"PYTHONPATH": str(outside)}
    )

    assert "requests\n" == ran.stdout


def test_own_module_of_that_name_is_left_alone(trial, application):
    (application / "requests.py").write_text("")

    assert "requests\n" == trial("--", "python", "app.py").stdout


@pytest.mark.parametrize(
    "test",
    [
        '@patch("requests.get", return_value=3)\ndef test(get):\n    assert 3 == load()\n',
        'def test(monkeypatch):\n    monkeypatch.setattr("requests.get", lambda url: 3)\n    assert 3 == load()\n',
        'def test():\n    assert "capa_requests" == requests.__name__\n',
    ],
)
def test_patches_of_a_test_suite_land_where_its_code_looks(trial, application, test):
    head = "from unittest.mock import patch\nimport requests\n\ndef load():\n    return requests.get('x')\n\n"
    (application / "test_patched.py").write_text(head + test)

    ran = trial("--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_patched.py")

    assert 0 == ran.returncode, ran.stdout


def test_exit_code_is_that_of_the_command(trial):
    assert 7 == trial("--", "python", "-c", "raise SystemExit(7)").returncode


def test_sitecustomize_of_the_application_still_runs(trial, application, tmp_path_factory):
    folder = tmp_path_factory.mktemp("custom")
    (folder / "sitecustomize.py").write_text("print('custom')\n")

    ran = trial("--", "python", "app.py", environment={"PYTHONPATH": str(folder)})

    assert ["custom", "capa_requests"] == ran.stdout.splitlines()[-2:]


def test_nothing_is_written(trial, application):
    before = sorted(path.relative_to(application) for path in application.rglob("*"))

    trial("--", "python", "app.py")

    assert before == sorted(path.relative_to(application) for path in application.rglob("*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no command is given"),
        (["--"], "no command is given"),
        (["--", "no-such-program"], "there is no program `no-such-program`"),
        (["--", "python", "-I", "app.py"], "`-I` makes Python ignore the redirection of imports"),
        (["--", "python", "-uE", "app.py"], "`-uE` makes Python ignore"),
        (
            ["--root", "/no/such/place", "--", "python", "app.py"],
            "/no/such/place: the file or folder does not exist",
        ),
    ],
)
def test_wrong_usage_exits_with_3_and_is_named(trial, words, message):
    ran = trial(*words)

    assert 3 == ran.returncode
    assert message in ran.stderr


def test_interpreter_without_capa_is_refused_rather_than_run_on_the_originals(application):
    site = Path(__file__).parents[2] / "migration/capa_migration/live/trial/site"
    environment = {"PYTHONPATH": str(site), "_CAPA_TRIAL_ROOT": str(application), "PATH": os.environ["PATH"]}
    bare = os.path.realpath(sys.executable)
    if bare == sys.executable:
        pytest.skip("this interpreter is no virtual environment, so there is none without Capa beside it")

    ran = subprocess.run([bare, "app.py"], cwd=application, capture_output=True, text=True, env=environment)

    assert (3, "") == (ran.returncode, ran.stdout)
    assert "install capa-core with the migrate extra into the environment of the application" in ran.stderr


MAP = """\
[sdk]
name = "legacy"
package = "fresh"
extra = "fresh"
distributions = ["legacy"]
roots = ["legacy"]
versions = "any"
evidence = "import"

[modules]
"legacy.deep.part" = "fresh.part"
"""


def test_import_of_a_module_under_another_name_follows_it_to_another_path(application, tmp_path_factory):
    library = tmp_path_factory.mktemp("library")
    for name in (
        "legacy/__init__.py",
        "legacy/deep/__init__.py",
        "legacy/deep/part.py",
        "fresh/__init__.py",
        "fresh/part.py",
    ):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).touch()
    (library / "import_map.toml").write_text(MAP)
    (application / "forms.py").write_text(
        "import legacy.deep.part as part, legacy.deep.part\nprint(part.__name__, legacy.deep.part.__name__)\n"
    )
    hook = (
        "from capa_migration.live.trial import environment as e, hook\n"
        f"hook.install({{e.ROOT: {str(application)!r}, e.MAPS: {str(library / 'import_map.toml')!r}}})\n"
        "import runpy; runpy.run_path('forms.py')\n"
    )

    ran = subprocess.run(
        [sys.executable, "-c", hook],
        cwd=application,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(library)},
    )

    assert "fresh.part legacy.deep.part\n" == ran.stdout, ran.stderr
