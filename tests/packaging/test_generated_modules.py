"""Modules of adapters that follow from import maps are up to date, and can be written for an adapter that is new."""

from pathlib import Path

import pytest

from capa_core.shims.generate import NOTICE, main, outdated

ROOT = Path(__file__).parents[2]
ADAPTERS = sorted(path.parent for path in ROOT.glob("adapters/*/import_map.toml"))

MAP = """
[sdk]
name = "wire"
package = "capa_wire"
extra = "wire"
roots = ["email"]
distributions = ["wire"]
versions = ">=1,<2"

[modules]
"email" = "capa_wire"
"email.errors" = "capa_wire.errors"
"email.mime" = "capa_wire.mime"
"email.mime.text" = "capa_wire.mime.text"
"email.no_such_module" = "capa_wire.no_such_module"
"email.charset" = "capa_wire.charset"
"""


@pytest.fixture
def adapter(tmp_path):
    """The folder of an adapter of the `email` package, in which one module is written by hand."""
    folder = tmp_path / "capa_wire"
    folder.mkdir()
    (folder / "import_map.toml").write_text(MAP)
    (folder / "charset.py").write_text('"""Written by hand."""\n')
    return folder


@pytest.mark.parametrize("folder", ADAPTERS, ids=lambda folder: folder.name)
def test_the_generated_modules_of_each_adapter_are_up_to_date(folder):
    assert {} == outdated(folder), f"run: python -m capa_core.shims.generate {folder}"


def test_each_listed_module_is_generated_unless_written_by_hand(adapter):
    assert 0 == main([str(adapter)])

    written = {str(path.relative_to(adapter)) for path in adapter.rglob("*.py")}
    assert {
        *("_sdk.py", "charset.py", "errors.py", "no_such_module.py"),
        *("mime/__init__.py", "mime/text.py"),
    } == written
    assert '"""Written by hand."""\n' == (adapter / "charset.py").read_text()


def test_writing_twice_changes_nothing(adapter):
    main([str(adapter)])

    assert {} == outdated(adapter)
    assert 0 == main(["--check", str(adapter)])


def test_a_check_names_outdated_modules_and_writes_nothing(adapter, capsys):
    assert 1 == main(["--check", str(adapter)])

    assert f"{adapter}/errors.py: outdated\n" in capsys.readouterr().out
    assert not (adapter / "errors.py").exists()


def test_a_generated_module_that_the_map_no_longer_lists_is_removed(adapter):
    (adapter / "gone.py").write_text(NOTICE)
    main([str(adapter)])

    assert not (adapter / "gone.py").exists()
