"""The types of `capa_core.aio` and `capa_core.live`, checked by two strict checkers."""

import ast
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from parallel import made_once

from capa_core import aio

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).with_name("typed")
pytestmark = pytest.mark.timeout(180)  # checkers start without a cache, and also read pydantic


def mypy(folder):
    """Return the errors of mypy --strict: file, line, message."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--config-file=",
        "--output=json",
        f"--cache-dir={folder}",
    ]
    done = subprocess.run([*command, *FOLDER.glob("*.py")], capture_output=True, text=True, cwd=ROOT)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return [(each["file"], each["line"], each["message"]) for each in found if each["severity"] == "error"]


def pyright(folder):
    """Return the errors of pyright, from basedpyright, whose wheels include all dependencies."""
    settings = folder / "pyrightconfig.json"
    settings.write_text(
        json.dumps({"include": [str(FOLDER)], "extraPaths": [str(ROOT)], "typeCheckingMode": "strict"})
    )
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "-p", settings]
    done = subprocess.run([*command, "--pythonpath", sys.executable], capture_output=True, text=True)
    found = json.loads(done.stdout)["generalDiagnostics"]
    return [(each["file"], each["range"]["start"]["line"] + 1, each["message"]) for each in found]


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def errors(request, run_folder):
    """The lines with errors in each file of the folder, with their messages."""
    check = request.param

    def note(folder):
        (folder / "errors.json").write_text(json.dumps(check(folder)))

    noted = made_once(run_folder / f"types-{check.__name__}", note) / "errors.json"
    by_file = defaultdict(lambda: defaultdict(list))
    for file, line, message in json.loads(noted.read_text()):
        by_file[Path(file).name][line].append(message)
    return by_file


@pytest.mark.parametrize("part", ["aio", "live"])
def test_right_code_is_accepted_with_the_types_that_it_names(errors, part):
    assert {} == errors[f"{part}_good.py"]


@pytest.mark.parametrize("part", ["aio", "live"])
def test_each_wrong_name_argument_and_colour_is_an_error(errors, part):
    lines = (FOLDER / f"{part}_bad.py").read_text(encoding="utf-8").splitlines()
    expected = [number for number, line in enumerate(lines, 1) if line.endswith("# error")]

    assert expected == sorted(errors[f"{part}_bad.py"]), dict(errors[f"{part}_bad.py"])


def test_every_name_of_the_stub_exists():
    text = Path(aio.__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    names = ast.literal_eval(text.partition("__all__ = ")[2])

    assert [] == [name for name in names if not hasattr(aio, name)]


@pytest.mark.parametrize("name", ["stat", "Stat", "_state"])
def test_a_wrong_name_is_an_error_at_once(name):
    with pytest.raises(AttributeError, match=name):
        getattr(aio, name)


def test_a_wrong_method_is_an_error_before_anything_is_awaited():
    with pytest.raises(AttributeError, match="gett"):
        aio.Runtime.in_memory().state().gett("k")
