"""The content of the wheel and of the sdist."""

import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(60, func_only=True)  # the first one waits until the wheel is built


def test_top_level_names_are_the_shipped_packages(wheel_files, packages):
    names = {name.partition("/")[0] for name in wheel_files if ".dist-info/" not in name}

    assert set(packages) == names
    assert all(name.startswith("capa_") for name in names)


def test_every_package_is_typed(wheel_files, packages):
    untyped = [name for name in packages if f"{name}/py.typed" not in wheel_files]

    assert [] == untyped


def test_every_adapter_carries_its_import_map(wheel_files, packages):
    adapters = [name for name, folder in packages.items() if folder.parent.name == "adapters"]
    without = [name for name in adapters if f"{name}/import_map.toml" not in wheel_files]

    assert [] == without


def test_the_differences_are_inside(wheel_files):
    pages = {path.name for path in (Path(__file__).parents[2] / "docs/differences").iterdir()}

    assert pages == {
        name.rpartition("/")[2] for name in wheel_files if name.startswith("capa_migration/differences/")
    }


def test_the_licence_is_inside(wheel_files):
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_files)


def test_the_sdist_builds_the_same_wheel(built, wheel_files):
    with zipfile.ZipFile(built.wheel_of_sdist) as archive:
        through_sdist = {name: archive.read(name) for name in archive.namelist()}

    assert sorted(wheel_files) == sorted(through_sdist)
    assert [name for name in wheel_files if wheel_files[name] != through_sdist[name]] == []


def test_the_sdist_holds_nothing_local(built):
    with tarfile.open(built.sdist) as archive:
        second_level = {name.split("/")[1] for name in archive.getnames() if "/" in name}

    assert set() == second_level & {".venv", ".capa", ".capa-migrate", "build", "dist", ".git", ".mypy_cache"}
