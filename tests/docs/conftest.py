"""Folders in which the examples of the documentation run: a sample repository, a clone with a built wheel, …"""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from built import Built
from celery_backlog import publish, work
from servers.apollo import ApolloServer

from capa_core import default_runtime

collect_ignore = ["sample"]  # its tests are those of an example

SAMPLE = Path(__file__).with_name("sample")
BIN = Path(sys.executable).parent


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """An empty folder, in which the examples of a page begin."""
    folder = tmp_path / "page"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give the variables for a shell with a virtual environment of its own, where `pip install` reaches no index.

    It sees all that is installed in the environment of the tests, and leaves that alone.
    """
    folder = tmp_path / "venv"
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python*/site-packages"))
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "of_the_tests.pth").write_text(f"import site; site.addsitedir({installed!r})\n")
    for name in ("capa", "celery", "pip", "pytest"):
        _, _, program = (BIN / name).read_text().partition("\n")
        (folder / "bin" / name).write_text(f"#!{folder / 'bin' / 'python'}\n{program}")
        (folder / "bin" / name).chmod(0o755)
    return os.environ | {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "BROWSER": "true",
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "false",  # pip's way to switch it off
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_COMPILE": "false",  # little of what is installed is imported
        **{
            f"GIT_{who}_{key}": "a@example.org"
            for who in ("AUTHOR", "COMMITTER")
            for key in ("NAME", "EMAIL")
        },
    }


Place = Callable[[], Path]


@pytest.fixture
def sample(tmp_path: Path) -> Place:
    """A new copy of a repository that uses requests and Celery, everything committed."""

    def copy() -> Path:
        folder = Path(tempfile.mkdtemp(dir=tmp_path)) / "sample"
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
            subprocess.run([*git, *words], cwd=folder, check=True)
        return folder

    return copy


@pytest.fixture
def apollo_project(apollo: ApolloServer, environment: dict[str, str], tmp_path: Path) -> Place:
    """An empty folder, beside an Apollo test server whose address is in the variable `APOLLO`."""
    apollo.release("application", {"a": "1"}, app="shop")
    apollo.release("application", {"a": "blue"}, app="shop", cluster="blue")
    apollo.release("limits.json", "{}", app="shop")
    environment["APOLLO"] = apollo.url

    def make() -> Path:
        return Path(tempfile.mkdtemp(dir=tmp_path))

    return make


@pytest.fixture
def old_broker(redis_url: str, environment: dict[str, str], tmp_path: Path) -> Place:
    """An empty folder, beside a broker in which Celery's own producer has left tasks."""
    publish(redis_url, [work(1), work(2, countdown=3600), work(3, queue="mail")])
    environment["CELERY_BROKER_URL"] = redis_url

    def make() -> Path:
        return Path(tempfile.mkdtemp(dir=tmp_path))

    return make


@pytest.fixture
def moved(sample: Place) -> Place:
    """A sample after `capa migrate apply`."""

    def move() -> Path:
        folder = sample()
        subprocess.run([BIN / "capa", "migrate", "apply", "."], cwd=folder, check=True, capture_output=True)
        return folder

    return move


@pytest.fixture
def clone(tmp_path: Path, built: Built) -> Place:
    """A clone of this repository after `make dist`, as far as `pip install` of the wheel sees it."""

    def copy() -> Path:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        (folder / "dist").mkdir()
        shutil.copy(built.wheel_of_sdist, folder / "dist")
        return folder

    return copy


@pytest.fixture
def catalog(page: Path) -> Place:
    """The folder of the page, with a service `catalog` that says yes to everything."""

    def answer(environ, start_response):
        start_response("200 OK", [("Content-Type", "application/json")])
        return [b"{}"]

    def serve() -> Path:
        default_runtime().host(answer, name="catalog")
        return page

    return serve


@pytest.fixture
def orders(page: Path) -> Place:
    """The folder of the page, with a topic `orders` and a message that waits for its group `billing`."""

    def publish() -> Path:
        pubsub = default_runtime().pubsub()
        pubsub.consumer("orders", "billing").close()
        pubsub.publish("orders", {"id": 41})
        return page

    return publish


@pytest.fixture
def configured(page: Path) -> Place:
    """The folder of the page, with values for the group `application`, and a document."""

    def configure() -> Path:
        config = page / "config"
        config.mkdir(exist_ok=True)
        (config / "application.properties").write_text("orders.timeout=2.5\n")
        (config / "testjson.json").write_text('{"max_connections": 20}')
        return page

    return configure
