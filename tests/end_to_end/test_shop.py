"""The shop, a legacy application with a test suite of its own, before and after the move."""

import ast
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from parallel import made_once

SHOP = Path(__file__).parents[2] / "examples" / "shop"
BIN = Path(sys.executable).parent
SDKS = {"requests", "celery", "pyapollos"}

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return _copy(tmp_path)


@pytest.fixture(scope="module")
def legacy_outcomes(run_folder: Path) -> dict[str, str]:
    """The outcome of each of the shop's tests on the legacy SDKs."""

    def run(folder: Path) -> None:
        (folder / "outcomes.json").write_text(json.dumps(_outcomes(_copy(folder))))

    return json.loads((made_once(run_folder / "legacy-shop", run) / "outcomes.json").read_text())


def _copy(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache", "data")
    return Path(shutil.copytree(SHOP, folder / "shop", ignore=ignored))


def _outcomes(shop: Path, *before: str | Path) -> dict[str, str]:
    report = shop.parent / "report.xml"
    command = [
        *before,
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
    ]
    done = subprocess.run(command, cwd=shop, capture_output=True, text=True, timeout=100)
    assert report.exists(), done.stdout + done.stderr
    return {
        f"{case.get('classname')}.{case.get('name')}": "; ".join(child.tag for child in case) or "passed"
        for case in ET.parse(report).iter("testcase")
    }


def _capa(shop: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "capa", *arguments], cwd=shop, capture_output=True, text=True, timeout=60)


def _digest(shop: Path) -> dict[str, str]:
    return {
        str(path.relative_to(shop)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in shop.rglob("*")
        if path.is_file() and not {".capa", ".capa-migrate", "__pycache__"} & set(path.parts)
    }


def _imported_roots(shop: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(shop.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], path.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield (node.module or "").partition(".")[0], path.name


def test_the_shop_knows_nothing_of_what_moves_it() -> None:
    knowing = [
        path
        for path in SHOP.rglob("*")
        if path.suffix != ".pyc" and path.is_file() and b"capa" in path.read_bytes().lower()
    ]

    assert knowing == []


def test_all_its_tests_pass_on_the_legacy_sdks(legacy_outcomes: dict[str, str]) -> None:
    assert len(legacy_outcomes) > 90
    assert {"passed"} == set(legacy_outcomes.values())


def test_each_of_its_tests_comes_to_the_same_after_the_move(
    shop: Path, legacy_outcomes: dict[str, str]
) -> None:
    moved = _capa(shop, "migrate", "apply", ".")

    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert legacy_outcomes == _outcomes(shop)


def test_each_of_its_tests_comes_to_the_same_in_a_trial_run(
    shop: Path, legacy_outcomes: dict[str, str]
) -> None:
    before = _digest(shop)

    assert legacy_outcomes == _outcomes(shop, BIN / "capa", "run", "--")
    assert before == _digest(shop)


def test_no_import_of_a_legacy_sdk_is_left(shop: Path) -> None:
    _capa(shop, "migrate", "apply", ".")

    assert [] == [place for place in _imported_roots(shop) if place[0] in SDKS]


def test_a_second_run_changes_nothing(shop: Path) -> None:
    _capa(shop, "migrate", "apply", ".")
    once = _digest(shop)

    assert _capa(shop, "migrate", "check", ".").returncode == 0
    assert _capa(shop, "migrate", "apply", ".").returncode == 0
    assert once == _digest(shop)


def test_undo_restores_every_byte(shop: Path) -> None:
    before = _digest(shop)
    _capa(shop, "migrate", "apply", ".")
    moved = _digest(shop)
    undone = _capa(shop, "migrate", "undo", ".")

    assert before != moved
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert before == _digest(shop)
