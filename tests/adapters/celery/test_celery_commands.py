"""Commands of `celery`, and what they print, for an application of Capa."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery.bin.celery import celery as command
from click.testing import CliRunner

import capa_celery
from capa_core import Runtime, use_runtime

# `celery events` has the option -d twice.
pytestmark = pytest.mark.filterwarnings("ignore:The parameter -d is used more than once:UserWarning")


def run(app: Any, *words: str) -> tuple[int, str]:
    """Run a command of *app*, and return its exit code and what it printed."""
    with use_runtime(Runtime.in_memory()):
        done = CliRunner().invoke(command, ["-A", f"{__name__}:{app}", *words])
    return done.exit_code, done.output


ON_CAPA = capa_celery.Celery("on-capa", broker="capa://jobs", backend="capa://jobs", set_as_current=False)
WITHOUT_LIBRARY = capa_celery.Celery("odd", broker="nobody://user:hunter2@host//", set_as_current=False)


@pytest.mark.parametrize(
    ("words", "section"),
    [
        (["graph", "bootsteps"], "remote-control"),
        (["graph", "workers"], "remote-control"),
        (["migrate", "capa://one", "redis://127.0.0.1:1"], "addresses"),
    ],
)
def test_a_command_that_is_not_served_ends_with_the_reason(words: list[str], section: str) -> None:
    code, printed = run("ON_CAPA", *words)

    assert 69 == code
    assert f"`celery {words[0]}` is not served" in printed
    assert f"celery/{section}" in printed


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["events"], "Event-stream utilities."),
        (["graph"], "bootsteps"),
        (["graph", "bootsteps"], "Display bootsteps graph."),
        (["graph", "workers"], "Display workers graph."),
        (["migrate"], "Migrate tasks from one broker to another."),
    ],
    ids=str,
)
def test_the_help_of_a_command_that_is_not_served_is_shown(words: list[str], shown: str) -> None:
    code, printed = run("ON_CAPA", *words, "--help")

    assert (0, True) == (code, shown in printed)
    assert "is not served" not in printed


@pytest.mark.parametrize(
    ("app", "shown"), [("ON_CAPA", "capa://jobs"), ("WITHOUT_LIBRARY", "nobody://host//")]
)
def test_the_report_names_capas_transport_with_any_address(app: str, shown: str) -> None:
    code, printed = run(app, "report")

    assert 0 == code
    assert "capa_celery._transport.Transport" in printed
    assert f"broker_url: '{shown}'" in printed
    assert "hunter2" not in printed


SHELL = """
import sys
from capa_celery import Celery, _repl

app = Celery("shell")
_repl.defer()
from celery.bin.celery import celery

print("prompt_toolkit" in sys.modules)
celery(["-A", "__main__", "amqp", "repl"])
"""


def test_the_shell_of_amqp_is_imported_when_it_is_called(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        cwd=tmp_path,
        input="queue.declare one\n",
        capture_output=True,
        text=True,
    )

    assert done.stdout.startswith("False\n")
    assert "queue:one messages:0 consumers:0" in done.stdout, done.stderr
