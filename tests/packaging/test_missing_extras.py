"""Where the library behind a name is not installed, the error names the extra to install."""

import subprocess
import sys

import pytest

from capa_core.installing import extra_command

WITHOUT = """
import importlib, sys

sys.modules[{library!r}] = None
try:
    {statement}
except ImportError as error:
    print(type(error).__name__, error)
"""


def error_of(statement, library, folder):
    """Return the error of *statement* in a process without *library*."""
    program = WITHOUT.format(library=library, statement=statement)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("sdk", ["requests", "celery"])
def test_an_adapter_names_the_extra_with_its_original(sdk, tmp_path):
    line = error_of(f"importlib.import_module('capa_{sdk}.exceptions')", sdk, tmp_path)

    assert f"MissingExtraError capa_{sdk} needs the library '{sdk}'. Run: {extra_command(sdk)}\n" == line


@pytest.mark.parametrize(
    ("adapter", "library", "version", "supported"),
    [
        ("capa_requests", "urllib3", "1.25.11", ">=1.26"),
        ("capa_requests", "requests", "2.24.0", ">=2.25,<3"),
        ("capa_requests", "requests", "3.0.0b1", ">=2.25,<3"),
        ("capa_celery", "celery", "5.2.7", ">=5.3.6,<5.8"),
    ],
)
def test_an_unsupported_original_is_named_with_the_versions_to_install(
    adapter, library, version, supported, tmp_path
):
    statement = f"import {library}; {library}.__version__ = {version!r}; import {adapter}"
    line = error_of(statement, "no_such_library", tmp_path)

    assert (
        f"MissingExtraError {adapter} supports {library} {supported}, and {library} {version} is installed."
        f" Run: pip install '{library}{supported}'\n" == line
    )


def test_an_engine_names_the_extra_with_its_library(tmp_path):
    statement = "from capa_core import Runtime; Runtime({'state': {'default': {'driver': 'redis'}}}).state()"
    line = error_of(statement, "redis", tmp_path)

    assert line.startswith("MissingExtraError code: state.default.driver: driver 'redis' needs the library")
    assert line.endswith(f"Run: {extra_command('redis')}\n")


def test_a_block_names_the_extra_with_its_library(tmp_path):
    line = error_of("from capa_core import Runtime; Runtime().database()", "sqlalchemy", tmp_path)

    assert line.startswith("MissingExtraError")
    assert "driver 'sqlite' needs the library 'sqlalchemy'" in line
    assert line.endswith(f"Run: {extra_command('database')}\n")


def test_a_file_format_names_the_extra_with_its_library(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "application.yaml").write_text("a: 1\n")
    line = error_of(
        "from capa_core import default_runtime; default_runtime().configuration().get()", "yaml", tmp_path
    )

    assert line.startswith("MissingExtraError ")
    assert "application.yaml needs PyYAML" in line
    assert "'capa-core[yaml]'" in line


def test_the_apollo_adapter_needs_no_library_until_a_file_does(tmp_path):
    assert "" == error_of("import capa_apollo", "yaml", tmp_path)


def test_the_source_of_pydantic_settings_names_the_extra(tmp_path):
    line = error_of("from capa_apollo import CapaSettingsSource", "pydantic_settings", tmp_path)

    assert (
        "MissingExtraError capa_apollo needs the library 'pydantic_settings'. Run: "
        f"{extra_command('apollo')}\n" == line
    )


def test_the_command_names_all_extras_and_the_wheel():
    command = extra_command("requests", "celery")

    assert "pip install 'capa-core[requests,celery]', from the wheel, as capa-core was" == command
