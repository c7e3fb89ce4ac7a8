"""The import map says what is there."""

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import capa_apollo
from capa_codemods.sdks.import_map_file import read_import_map

PATH = Path(capa_apollo.__file__).with_name("import_map.toml")
ROOT = Path(__file__).parents[3]
MAP = read_import_map(str(PATH))


@pytest.mark.parametrize("module", sorted(set(MAP.modules.values())))
def test_every_new_module_has_a_client(module):
    assert import_module(module).ApolloClient.__module__.startswith("capa_apollo.")


def test_every_root_is_mapped():
    assert set(MAP.roots) == {module.partition(".")[0] for module in MAP.modules}


def test_every_link_leads_somewhere():
    page = ROOT.joinpath("docs/differences/apollo.md").read_text()
    anchors = {title.lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.+)$", page)}

    assert {name.see.partition("#")[2] for name in MAP.names} <= anchors


def test_every_public_name_is_there():
    assert [] == [name for name in capa_apollo.__all__ if getattr(capa_apollo, name, None) is None]


def test_a_client_is_cheap_to_import():
    heavy = {"asyncio", "pydantic", "wrapt", "yaml"}
    code = f"import capa_apollo.pyapollo, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout
