# ruff: noqa: E501 - sources, which are easier to read unbroken
"""Calls that no adapter serves: a warning at each, before the rewrite and after it, wherever the application is made."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = {
    "pyproject.toml": "",
    "requirements.txt": "celery>=5.4\n",
    "shop/__init__.py": "",
    "shop/worker.py": (
        'from celery import Celery, signals\n\napp = Celery("shop")\n\n\n'
        '@signals.task_rejected.connect\ndef add(a, b): ...\n\n\napp.conf.worker_consumer = "mine"\n'
    ),
    "shop/health.py": "from .worker import app\n\n\ndef is_up():\n    return bool(app.control.pool_restart())\n",
    "shop/purge.py": "from .worker import app\n\n\ndef purge():\n    app.control.purge()\n",
    "shop/plain.py": "def f(app):\n    return app.control.pool_restart()\n",
}
RESTART = "shop/health.py:5: warning: celery.app.control.Control().pool_restart() is not served: "
PLACES = ["shop/health.py:5", "shop/worker.py:6", "shop/worker.py:10"]


@pytest.fixture
def shop(capa: object, adapters_maps: None, tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Return a function that makes the tree and changes some of its files; the maps are the adapters' own."""
    root = tmp_path / "tree"

    def make(files: dict[str, str]) -> Path:
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            os.utime(root / name, (1, 1))  # old enough for the cache to trust the time stamp
        return root

    make(FILES)
    return make


def _places(out: str) -> list[str]:
    return [line.partition(": warning: ")[0] for line in out.splitlines() if " is not served: " in line]


def test_check_names_each_call_before_the_rewrite_and_after_it(capa, shop):
    root = shop({})
    before, applied = capa("migrate", "check", root), capa("migrate", "apply", root)
    after, again = capa("migrate", "check", root), capa("migrate", "check", root)

    assert [PLACES] * 4 == [_places(ran.out) for ran in (before, applied, after, again)]
    assert [1, 0, 0, 0] == [ran.code for ran in (before, applied, after, again)]
    assert "from capa_celery import Celery, signals" in (root / "shop/worker.py").read_text()


def test_the_next_step_is_what_to_use_instead(capa, shop):
    (line,) = [one for one in capa("migrate", "check", shop({})).out.splitlines() if one.startswith(RESTART)]

    assert "Next: use a restart of the worker" in line
    assert line.endswith("[celery/remote-control]")


def test_strict_makes_them_a_failure(capa, shop):
    root = shop({})
    capa("migrate", "apply", root)

    assert (0, 2) == (capa("migrate", "check", root).code, capa("migrate", "check", root, "--strict").code)


def test_an_unchanged_tree_is_not_read_again_and_still_warns(capa, shop, monkeypatch):
    root = shop({})
    capa("migrate", "apply", root)
    shop({name: (root / name).read_text() for name in ("shop/worker.py", "requirements.txt")})
    first = capa("migrate", "check", root)
    monkeypatch.setattr(
        "capa_migration.rewrite.unserved_calls.with_unserved_calls",
        lambda *_: pytest.fail("files were read again"),
    )

    assert PLACES == _places(first.out) == _places(capa("migrate", "check", root).out)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("shop/health.py", "def is_up():\n    return True\n"),
        ("shop/worker.py", "app = object()\n"),
    ],
)
def test_a_warning_goes_with_its_call_or_with_the_application(capa, shop, name, text):
    root = shop({})
    first = capa("migrate", "check", root)
    second = capa("migrate", "check", shop({name: text}))

    assert RESTART in first.out
    assert RESTART not in second.out


def test_a_warning_comes_when_another_file_becomes_an_application(capa, shop):
    capa("migrate", "check", shop({"shop/worker.py": "app = object()\n"}))

    assert RESTART in capa("migrate", "check", shop({"shop/worker.py": FILES["shop/worker.py"]})).out


@pytest.mark.parametrize(
    "source",
    [
        "from shop import app\n\n\n\nx = app.control.pool_restart()\n",
        "import shop.worker\n\n\n\nx = shop.worker.app.control.pool_restart()\n",
        "from shop.worker import *\n\n\n\nx = app.control.pool_restart()\n",
        "def f():\n    from .worker import app as a\n\n    b = a\n    return b.control.pool_restart()\n",
        "from .worker import app\nclass A:\n    def __init__(self): self.app = app\n\n    def f(self): return self.app.control.pool_restart()\n",
    ],
)  # fmt: skip
def test_the_application_is_followed_through_imports_and_names(capa, shop, source):
    root = shop({"shop/__init__.py": "from .worker import app\n", "shop/health.py": source})

    assert "shop/health.py:5" in _places(capa("migrate", "check", root).out)


@pytest.mark.parametrize(
    "comment", ["# capa: ignore", "# capa: ignore[unserved]", "# capa: ignore[celery/remote-control]"]
)
def test_a_comment_settles_a_call(capa, shop, comment):
    root = shop(
        {"shop/health.py": FILES["shop/health.py"].replace("pool_restart())", f"pool_restart())  {comment}")}
    )
    ran = capa("migrate", "check", root)

    assert ["shop/worker.py:6", "shop/worker.py:10"] == _places(ran.out)
    assert "there is no rule" not in ran.out


def test_an_import_that_stays_is_reported_once(capa, shop):
    root = shop(
        {"shop/sent.py": "from celery.signals import task_rejected\n\ntask_rejected.connect(print)\n"}
    )
    lines = [line for line in capa("migrate", "check", root).out.splitlines() if line.startswith("shop/sent")]

    assert 1 == len(lines)
    assert "stays on the original" in lines[0]


def test_a_run_of_other_rules_names_none(capa, shop):
    assert [] == _places(capa("migrate", "check", shop({}), "--only", "strings").out)


@pytest.mark.parametrize("form", ["json", "sarif", "github", "markdown"])
def test_every_format_carries_them(capa, shop, form):
    out = capa("migrate", "check", shop({}), "--format", form).out

    assert "celery.app.control.Control().pool_restart() is not served" in out.replace("\\_", "_")


def test_the_data_has_the_reason_as_the_rule(capa, shop):
    findings = json.loads(capa("migrate", "check", shop({}), "--json").out)["findings"]

    assert ("celery/remote-control", 5, "warning") in {
        (one["rule"], one["line"], one["level"]) for one in findings
    }
