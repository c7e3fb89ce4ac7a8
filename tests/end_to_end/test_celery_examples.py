"""Celery's own examples, moved by one command, run by real workers: with no server at all, and on Redis."""

import difflib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from foreign_packages import FOLDER, UnavailableError, unpack
from parallel import made_once
from servers._process import ServerProcess
from servers._program import in_ci

VERSION = "5.7.0"
EXAMPLES = ("app", "next-steps", "tutorial", "periodic-tasks", "django")
CAPA_REQUIRED = "        'capa-core[celery]',"  # one line of setup.py in next-steps, the only manifest there
BIN = Path(sys.executable).parent
RUN_WITHIN_S = 40
ON_REDIS = """\
[pubsub.default]
driver = "redis"
url = "{url}"

[state.default]
driver = "redis"
url = "{url}"

[lock.default]
driver = "redis"
url = "{url}"
"""

pytestmark = pytest.mark.timeout(150)


class Example:
    """One of the examples, moved to Capa, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._processes = ExitStack()

    def start(self, *command: str) -> None:
        """Start a process that runs until the end of the test."""
        process = ServerProcess([str(BIN / command[0]), *command[1:]], self.folder, ready=lambda: True)
        process.start()
        self._processes.callback(process.stop)

    def run(self, code: str) -> str:
        """Run Python code in the folder as a user at a prompt would, and return its output."""
        return self.program("python", "-c", code)

    def program(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            [BIN / name, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=RUN_WITHIN_S
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\nThe processes printed:\n{self.printed()}"
        return done.stdout.strip()

    def printed(self) -> str:
        """Return the output of the processes so far."""
        log = self.folder / "output.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def wait_for(self, pattern: str) -> None:
        until = time.monotonic() + RUN_WITHIN_S
        while not re.search(pattern, self.printed()):
            assert time.monotonic() < until, (
                f"no {pattern!r} in what the processes printed:\n{self.printed()}"
            )
            time.sleep(0.05)

    def stop(self) -> None:
        self._processes.close()


@pytest.fixture(scope="session")
def originals() -> Path:
    """Celery's examples as its source distribution has them, fetched once and kept."""
    return made_once(FOLDER / f"celery-{VERSION}-unpacked", _unpack) / f"celery-{VERSION}" / "examples"


def _unpack(folder: Path) -> None:
    try:
        unpack("celery", VERSION, folder)
    except UnavailableError as error:
        pytest.fail(str(error)) if in_ci() else pytest.skip(str(error))


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> str:
    """The text of capa.toml: empty for the embedded default, unless a test asks for another engine."""
    engine = getattr(request, "param", "embedded")
    return ON_REDIS.format(url=request.getfixturevalue("redis_url")) if engine == "redis" else ""


REDIS = pytest.param("redis", marks=pytest.mark.server("redis"))


@pytest.fixture
def moved(originals: Path, tmp_path: Path, settings: str) -> Iterator[Callable[[str], Example]]:
    """Return a function that copies an example, moves it to Capa, and chooses the engine."""
    with ExitStack() as started:

        def move(name: str) -> Example:
            example = Example(_migrate(originals / name, tmp_path / name))
            if settings:
                (example.folder / "capa.toml").write_text(settings)
            started.callback(example.stop)
            return example

        yield move


def _migrate(original: Path, folder: Path) -> Path:
    shutil.copytree(original, folder)
    done = subprocess.run([BIN / "capa", "migrate", "apply", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_of_the_code_but_the_path_of_imports_changes(
    originals: Path, tmp_path: Path, name: str
) -> None:
    folder = _migrate(originals / name, tmp_path / name)
    removed, added = _changed_lines(originals / name, folder, "*.py")
    added = [line for line in added if line != CAPA_REQUIRED]

    assert removed
    assert removed == [line.replace("capa_celery", "celery") for line in added]
    assert all(line.startswith("from capa_celery") for line in added)


def test_the_one_manifest_of_the_examples_asks_for_capa_too(originals: Path, tmp_path: Path) -> None:
    folder = _migrate(originals / "next-steps", tmp_path / "next-steps")

    assert ([], [CAPA_REQUIRED]) == _changed_lines(originals / "next-steps", folder, "setup.py")


def _changed_lines(before: Path, after: Path, pattern: str) -> tuple[list[str], list[str]]:
    removed, added = [], []
    for path in sorted(before.rglob(pattern)):
        new = (after / path.relative_to(before)).read_text().splitlines()
        for line in difflib.ndiff(path.read_text().splitlines(), new):
            if line.startswith("- "):
                removed.append(line[2:])
            elif line.startswith("+ "):
                added.append(line[2:])
    return removed, added


def test_tutorial_adds(moved: Callable[[str], Example]) -> None:
    example = moved("tutorial")
    example.start("celery", "-A", "tasks", "worker", "--loglevel", "INFO")
    example.run("from tasks import add; add.delay(4, 4)")

    example.wait_for(r"Task tasks\.add\[[-\w]+\] succeeded in [\d.e-]+s: 8")


def test_app_adds_slowly_and_acknowledges_late(moved: Callable[[str], Example]) -> None:
    example = moved("app")
    example.start("celery", "-A", "myapp", "worker", "--loglevel", "INFO")
    example.run("from myapp import add; add.delay(16, 16)")

    example.wait_for(r"Task myapp\.add\[[-\w]+\] succeeded in 10[\d.]+s: 32")


CANVAS = """
from capa_celery import chord, group
from proj.tasks import add, mul, xsum

print(add.delay(2, 2).get(timeout=30))
print(add.apply_async((2, 2), countdown=1).get(timeout=30))
print((add.s(4, 4) | mul.s(8)).apply_async().get(timeout=30))
print(group(add.s(i, i) for i in range(10))().get(timeout=30))
print(chord((add.s(i, i) for i in range(10)), xsum.s())().get(timeout=30))
"""


@pytest.mark.parametrize("settings", ["embedded", REDIS], indirect=True)
def test_next_steps_walks_through_the_canvas(moved: Callable[[str], Example]) -> None:
    example = moved("next-steps")
    example.start("celery", "-A", "proj", "worker", "--loglevel", "INFO", "--concurrency", "2")

    assert ["4", "4", "64", "[0, 2, 4, 6, 8, 10, 12, 14, 16, 18]", "90"] == example.run(CANVAS).splitlines()


def test_periodic_tasks_speak_every_ten_seconds(moved: Callable[[str], Example]) -> None:
    example = moved("periodic-tasks")
    example.start("celery", "-A", "myapp", "worker", "--loglevel", "INFO")
    example.start("celery", "-A", "myapp", "beat", "--loglevel", "INFO")

    example.wait_for(r"(?s)hello.*Task myapp\.say\[[-\w]+\] succeeded")


WIDGETS = """
import django; django.setup()
from demoapp.models import Widget
from demoapp.tasks import add, count_widgets, rename_widget

widget = Widget.objects.create(name="old")
print(add.delay(2, 3).get(timeout=30))
print(count_widgets.delay().get(timeout=30))
rename_widget.delay(widget.id, "new").get(timeout=30)
widget.refresh_from_db()
print(widget.name)
"""


@pytest.mark.parametrize("settings", [REDIS], indirect=True)
def test_django_tasks_reach_its_database(
    moved: Callable[[str], Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "proj.settings")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.curdir, os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    example = moved("django")
    example.program("python", "manage.py", "migrate")
    example.start("celery", "-A", "proj", "worker", "--loglevel", "INFO")

    assert ["5", "1", "new"] == example.run(WIDGETS).splitlines()
