"""Calls that move and behave otherwise, without an error: a warning of check and apply, as the scan shows them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HEAD = "from celery import Celery\n\napp = Celery('shop')\n"


@pytest.fixture
def told(capa: object, adapters_maps: None, tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Return a function that gives the warnings of a command about line 4 of a file; the maps are the adapters' own."""

    def run(command: str, line: str) -> list[str]:
        (tmp_path / "requirements.txt").write_text("celery\ncapa-core[celery]\n")
        (tmp_path / "shop.py").write_text(HEAD + line + "\n")
        found = capa("migrate", command, tmp_path).out.splitlines()  # type: ignore[operator]  # a fixture
        return [one for one in found if one.startswith("shop.py:4: warning: ")]

    return run


@pytest.mark.parametrize("command", ["check", "apply"])
@pytest.mark.parametrize(
    ("line", "reported"),
    [
        ("kind = getattr(app.connection().transport, 'driver_type', None)", "Capa's: its `driver_type`"),
        ("with app.connection() as conn: print(conn.as_uri())", "`capa://NAME`"),
        ("print(app.connection_for_read().as_uri(include_password=True))", "`capa://NAME`"),
        ("print(app.bugreport())", "its text names Capa's transport"),
        (
            "app.conf.broker_transport_options = {'visibility_timeout': 9}",
            "without effect: the pub/sub component",
        ),
        ("app.conf.update(worker_lost_wait=9)", "without effect: prefork is Capa's own"),
    ],
)
def test_each_is_told_once(told, command, line, reported):
    (warning,) = told(command, line)

    assert " behaves otherwise: " in warning
    assert reported in warning


@pytest.mark.parametrize(
    "line",
    [
        "with app.connection() as conn: conn.ensure_connection()",
        "app.conf.task_acks_late = True",
        "app.control.revoke('id')",
        "app.conf.broker_url = 'redis://a/0'",
    ],
)
def test_what_does_the_same_is_not_told(told, line):
    assert [] == told("check", line)
