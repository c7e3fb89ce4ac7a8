"""A tree that has not changed: the third run lists no folder, and each change of a file or folder is seen."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from old_files import OLD_NS

from capa_migration.rewrite.plan import Plan, make
from capa_migration.rewrite.target import Options

FILES = {
    "requirements.txt": "requests\ncapa-core[requests]\n",
    "a.py": "import requests.foo\n",
    "b/c.py": "import os\n",
    "b/d/e.txt": "",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree of which two runs have found that nothing had changed."""
    for name, text in FILES.items():
        _write(tmp_path / name, text)
    make(str(tmp_path), Options())
    _age(tmp_path)
    make(str(tmp_path), Options())
    make(str(tmp_path), Options())
    return tmp_path


@pytest.fixture
def lists_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "capa_migration.rewrite.passed_over.list_files", lambda *_, **__: pytest.fail("the tree was listed")
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _age(root: Path) -> None:
    """Give all files and folders an old time stamp, so that the cache trusts it."""
    for path in [root, *root.rglob("*")]:
        os.utime(path, ns=(OLD_NS, OLD_NS))


def _said(plan: Plan) -> list[object]:
    return [plan.root, plan.seen, plan.passed_over, *plan.outcomes]


def test_a_run_without_a_change_lists_nothing_and_plans_the_same(tree, lists_nothing):
    plan = make(str(tree), Options())

    assert ["a.py"] == [outcome.path for outcome in plan.outcomes]
    assert (3, {"kind": 1}) == (plan.seen, plan.passed_over)


@pytest.mark.parametrize(
    "change",
    [
        lambda root: _write(root / "b/d/new.py", "import requests.foo\n"),
        lambda root: _write(root / "b/c.py", "import requests.foo\n"),
        lambda root: (root / "a.py").unlink(),
        lambda root: (root / "b/d").rename(root / "b/f"),
        lambda root: (root / "empty").mkdir(),
        lambda root: _write(root / "capa.toml", "[profiles]\n"),
    ],
)
def test_each_change_is_seen(tree: Path, change: Callable[[Path], object]):
    change(tree)
    plans = [make(str(tree), Options()) for _ in range(3)]
    (tree / ".capa-migrate/settled").unlink()

    assert [_said(make(str(tree), Options()))] * 3 == list(map(_said, plans))
    assert {path.path for path in plans[0].outcomes} <= {
        str(one.relative_to(tree)) for one in tree.rglob("*")
    }


def test_options_have_a_plan_of_their_own(tree):
    assert [] == list(make(str(tree), Options(exclude=("a.py",))).outcomes)


def test_what_git_lists_is_asked_again(tree):
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    (tree / ".gitignore").write_text("a.py\n")
    _age(tree)
    make(str(tree), Options())
    make(str(tree), Options())
    (tree / ".gitignore").write_text("")

    assert ["a.py"] == [outcome.path for outcome in make(str(tree), Options()).outcomes]


def test_a_damaged_cache_is_none(tree: Path):
    cache = tree / ".capa-migrate/settled"
    text = cache.read_text()
    known = _said(make(str(tree), Options(), remember=False))
    damaged = [text[:cut] for cut in range(0, len(text), len(text) // 20)]
    damaged += [f"{text}\n{line}" for line in ("", "1 2", "1 2 3 4", "1 2 3 4 \0")]
    damaged += [text.replace("kind=1", word) for word in ("kind", "kind=x", "")]

    for one in damaged:
        cache.write_text(one)
        assert known == _said(make(str(tree), Options(), remember=False))
