"""Projects that sort their imports: the rewrite moves no line, and names the command that does."""

from __future__ import annotations

import subprocess
import sys

import pytest

SOURCE = "import os\n\nimport django\nimport requests\n\nrequests.get(os.sep, django)\n"


@pytest.mark.parametrize(
    ("name", "text", "command"),
    [
        ("pyproject.toml", '[tool.ruff.lint]\nselect = ["E", "I"]\n', "ruff check --select I --fix"),
        ("pyproject.toml", '[tool.ruff]\nextend-select = ["I001"]\n', "ruff check --select I --fix"),
        ("ruff.toml", 'lint.select = ["ALL"]\n', "ruff check --select I --fix"),
        (".ruff.toml", 'select = ["I"]\n', "ruff check --select I --fix"),
        ("pyproject.toml", '[tool.isort]\nprofile = "black"\n', "isort"),
        ("setup.cfg", "[isort]\nprofile = black\n", "isort"),
        (".isort.cfg", "[settings]\n", "isort"),
    ],
)
def test_apply_names_the_command_of_the_project(capa, tmp_path, name, text, command):
    (tmp_path / name).write_text(text)
    (tmp_path / "a.py").write_text(SOURCE)

    assert f"No line has moved: `{command} a.py` sorts the imports" in capa("migrate", "apply", tmp_path).out


@pytest.mark.parametrize("text", ['[tool.ruff.lint]\nselect = ["E", "ICN"]\n', "[tool.black]\n", "[tool\n"])
def test_a_project_that_sorts_none_hears_of_none(capa, tmp_path, text):
    (tmp_path / "setup.cfg").write_text("")
    (tmp_path / "ruff.toml").write_text(text)
    (tmp_path / "a.py").write_text(SOURCE)

    assert "sorts the imports" not in capa("migrate", "apply", tmp_path).out


def test_a_rewrite_without_imports_says_nothing_of_them(capa, tmp_path):
    (tmp_path / "ruff.toml").write_text('lint.select = ["I"]\n')
    (tmp_path / "test_a.py").write_text('patch("requests.get")\n')

    assert "sorts the imports" not in capa("migrate", "apply", tmp_path).out


def test_no_line_moves_and_the_command_leaves_nothing_to_do(capa, tmp_path):
    (tmp_path / "ruff.toml").write_text('lint.select = ["I"]\n')
    (tmp_path / "a.py").write_text(SOURCE)
    capa("migrate", "apply", tmp_path)
    moved = (tmp_path / "a.py").read_text()
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "I"]
    subprocess.run([*ruff, "--fix", "-q", "a.py"], cwd=tmp_path, check=True)

    assert SOURCE.replace("import requests", "import capa_requests as requests") == moved
    assert 0 == subprocess.run([*ruff, "-q", "a.py"], cwd=tmp_path, check=False).returncode
    assert 0 == capa("migrate", "check", tmp_path).code

    assert 0 == capa("migrate", "undo", tmp_path).code
    assert "import os\n\nimport requests\nimport django\n" in (tmp_path / "a.py").read_text()
