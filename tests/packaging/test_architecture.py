"""Who may import whom is written in `pyproject.toml` and holds."""

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_the_import_contracts_hold():
    command = [Path(sys.executable).with_name("lint-imports"), "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert 0 == done.returncode, done.stdout


def test_each_shipped_package_is_under_the_contracts(project, packages):
    under_contracts = project["tool"]["importlinter"]["root_packages"]

    assert set(packages) == set(under_contracts)


@pytest.mark.parametrize("contract", ["pytest", "one-owner"])
def test_a_contract_on_outside_libraries_names_each_package(project, packages, contract):
    contracts = {each["id"]: each for each in project["tool"]["importlinter"]["contracts"]}

    assert set(packages) == set(contracts[contract]["source_modules"])


def test_mypy_checks_each_shipped_package(project, packages):
    assert set(packages) == set(project["tool"]["mypy"]["packages"])


def test_the_test_extra_holds_each_library_that_a_component_or_adapter_needs(project):
    extras = project["project"]["optional-dependencies"]
    (everything,) = (Requirement(each) for each in extras["test"] if each.startswith("capa-core["))
    (all_of,) = (Requirement(each) for each in extras["all"])

    assert everything.extras == {"all"}
    assert set(extras) - {"all", "test"} == all_of.extras
