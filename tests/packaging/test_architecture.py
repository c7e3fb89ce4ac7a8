"""The import contracts of `.ci/import_contracts.toml` hold for each existing folder, and threads are supervised."""

import ast
import runpy
import subprocess
import sys
import tomllib
from glob import glob
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from capa_core.block import blocks

ROOT = Path(__file__).parents[2]
CHECK = ROOT / ".ci" / "import_contracts.py"


@pytest.fixture(scope="module")
def contracts():
    """The contracts for this tree, by id; the settings of all of them as `""`."""
    table = tomllib.loads(runpy.run_path(str(CHECK))["contracts"](ROOT))["tool"]["importlinter"]
    return {"": table} | {each["id"]: each for each in table["contracts"]}


@pytest.mark.timeout(120)
def test_the_import_contracts_hold():
    done = subprocess.run([sys.executable, CHECK], capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout


def test_each_shipped_package_is_under_the_contracts(packages, contracts):
    assert set(packages) == set(contracts[""]["root_packages"])


@pytest.mark.parametrize("contract", ["pytest", "one-owner"])
def test_a_contract_on_outside_libraries_names_each_package(packages, contracts, contract):
    assert set(packages) == set(contracts[contract]["source_modules"])


def test_each_library_of_an_engine_or_sdk_has_an_owner(contracts):
    contract = contracts["one-owner"]
    libraries = {"billiard", "boto3", "botocore", "celery", "kazoo", "kombu", "pika", "redis", "requests"}

    assert libraries <= set(contract["forbidden_modules"])
    assert "capa_core.components.redis.** -> redis" in contract["ignore_imports"]
    assert "capa_celery.** -> kombu" in contract["ignore_imports"]


def test_an_adapter_imports_no_other_but_that_of_a_library_below_its_original(contracts):
    assert ["capa_celery.** -> capa_kombu.**"] == contracts["adapters"]["ignore_imports"]


def test_a_new_folder_is_under_the_contracts_without_an_edit(tmp_path):
    for package in ("capa_core", "adapters/capa_pika", "codemods/capa_codemods", "integrations/capa_flask"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "adapters/capa_pika/import_map.toml").write_text(
        '[sdk]\nroots = ["pika"]\npackage = "capa_pika"\n'
    )
    (tmp_path / "capa_core/components/etcd").mkdir(parents=True)
    (tmp_path / "capa_core/components/etcd/engine.toml").write_text('libraries = ["etcd3"]\n')
    table = tomllib.loads(runpy.run_path(str(CHECK))["contracts"](tmp_path))["tool"]["importlinter"]
    contracts = {each["id"]: each for each in table["contracts"]}

    assert ["capa_pika", "capa_flask"] == contracts["adapters"]["modules"]
    assert ["capa_migration", "capa_pika | capa_flask", "capa_core"] == contracts["parts"]["layers"]
    assert ["etcd3", "pika"] == contracts["one-owner"]["forbidden_modules"]
    assert {"capa_pika.** -> pika", "capa_core.components.etcd.** -> etcd3"} <= set(
        contracts["one-owner"]["ignore_imports"]
    )


def test_mypy_checks_each_shipped_package(project, packages):
    checked = {
        ROOT / path
        for pattern in project["tool"]["mypy"]["files"]
        for path in glob(pattern, root_dir=ROOT)  # noqa: PTH207 - as mypy does it
    }

    assert set(packages.values()) == checked


def test_the_project_names_each_adapter_once(packages):
    text = (ROOT / "pyproject.toml").read_text()
    adapters = [name for name, folder in packages.items() if folder.parent.name == "adapters"]

    assert dict.fromkeys(adapters, 1) == {name: text.count(f'"{name}"') for name in adapters}


def test_the_test_extra_holds_each_library_that_a_component_or_adapter_needs(project):
    extras = project["project"]["optional-dependencies"]
    (everything,) = (Requirement(each) for each in extras["test"] if each.startswith("capa-core["))
    (all_of,) = (Requirement(each) for each in extras["all"])

    assert everything.extras == {"all"}
    assert set(extras) - {"all", "test"} == all_of.extras


def test_an_extra_of_an_engine_is_there_exactly_if_the_engine_has_drivers(project):
    engines = {
        path.parent: tomllib.loads(path.read_text())
        for path in ROOT.glob("capa_core/components/*/engine.toml")
    }
    named = {engine["extra"] for engine in engines.values() if "extra" in engine}
    driven = {
        engine["extra"]
        for folder, engine in engines.items()
        if "extra" in engine and list(folder.glob("*.py"))
    }

    assert driven == named <= set(project["project"]["optional-dependencies"])


def test_every_extra_has_a_driver_an_adapter_or_the_tool_behind_it(project):
    engines = [tomllib.loads(path.read_text()) for path in ROOT.glob("capa_core/components/*/engine.toml")]
    maps = [tomllib.loads(path.read_text())["sdk"] for path in ROOT.glob("adapters/*/import_map.toml")]
    behind = {each["extra"] for each in (*engines, *maps) if "extra" in each}
    behind |= {block.extra for block in blocks().values() if block.extra}

    # `yaml` is a file format of the embedded configuration; `migrate` is the tool.
    assert behind | {"yaml", "migrate", "all", "test"} == set(project["project"]["optional-dependencies"])


# A thread that ends unforeseen is noticed: `capa_core.supervision` has those that log and survive a failure.
BARE_THREADS = {
    "capa_core/supervision.py": "the supervised threads themselves",
    "capa_core/conformance/": "tests, which fail if their threads do",
}
THREADS = {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread"}


def _starts_threads(text):
    """Return whether a module calls, or derives from, what starts threads."""
    if not any(name in text for name in THREADS):
        return False
    used = []
    for node in ast.walk(ast.parse(text)):
        used += [node.func] if isinstance(node, ast.Call) else getattr(node, "bases", [])
    return bool(THREADS & {getattr(each, "attr", None) or getattr(each, "id", None) for each in used})


def test_no_thread_is_started_outside_supervision():
    files = [path for folder in ("capa_core", "adapters") for path in (ROOT / folder).rglob("*.py")]
    bare = {path.relative_to(ROOT).as_posix() for path in files if _starts_threads(path.read_text())}
    excused = {path for path in bare if path.startswith(tuple(BARE_THREADS))}

    assert set() == bare - excused, "use SupervisedThread or LoggedThread of capa_core.supervision"
    assert set(BARE_THREADS) == {each for each in BARE_THREADS for path in excused if path.startswith(each)}
