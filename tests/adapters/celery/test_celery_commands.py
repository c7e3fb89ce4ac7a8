"""Commands of `celery`, and what they print, for an application of Capa."""

from typing import Any

import pytest
from celery.bin.celery import celery as command
from click.testing import CliRunner

import capa_celery
from capa_core import Runtime, use_runtime


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
        (["events", "--dump"], "events"),
        (["graph", "bootsteps"], "remote-control"),
        (["migrate", "capa://one", "redis://127.0.0.1:1"], "addresses"),
    ],
)
def test_a_command_that_is_not_served_ends_with_the_reason(words: list[str], section: str) -> None:
    code, printed = run("ON_CAPA", *words)

    assert 69 == code
    assert f"`celery {words[0]}` is not served" in printed
    assert f"celery/{section}" in printed


@pytest.mark.parametrize(
    ("app", "shown"), [("ON_CAPA", "capa://jobs"), ("WITHOUT_LIBRARY", "nobody://host//")]
)
def test_the_report_names_capas_transport_with_any_address(app: str, shown: str) -> None:
    code, printed = run(app, "report")

    assert 0 == code
    assert "capa_celery._transport.Transport" in printed
    assert f"broker_url: '{shown}'" in printed
    assert "hunter2" not in printed
