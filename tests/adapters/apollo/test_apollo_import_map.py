"""The import map agrees with the adapter."""

import json
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import capa_apollo
from capa_codemods.sdks.import_map_file import read_import_map
from capa_migration.cli import main

PATH = Path(capa_apollo.__file__).with_name("import_map.toml")
ROOT = Path(__file__).parents[3]
MAP = read_import_map(str(PATH))


@pytest.mark.parametrize(("old", "new"), sorted(MAP.modules.items()))
def test_every_new_module_has_the_clients_of_the_old_one(old, new):
    """The classes of the original's that are its clients; a package may have them in a module alone."""
    module = import_module(new)
    returned = {name.rpartition(".") for name in MAP.returns}
    missing = [name for place, _, name in returned if place == old and not hasattr(module, name)]

    assert [] == missing


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


@pytest.mark.parametrize("root", ["pyapollos", "capa_apollo.pyapollo"])
def test_a_scan_ends_with_the_command_that_brings_the_values(root, tmp_path, capsys):
    (tmp_path / "requirements.txt").write_text("pyapollos\n")
    (tmp_path / "app.py").write_text(
        f"from {root}.apollo_client import ApolloClient\n\nApolloClient('shop')\n"
    )
    main(["scan", str(tmp_path)])
    text = capsys.readouterr().out
    main(["scan", str(tmp_path), "--json"])

    assert "capa config pull --from-apollo URL --app-id APP --namespace NAMESPACE" in text.splitlines()[-1]
    assert [text.splitlines()[-1]] == json.loads(capsys.readouterr().out)["bring"]


def test_a_scan_without_a_client_does_not_name_it(tmp_path, capsys):
    (tmp_path / "app.py").write_text("import requests\n\nrequests.get('http://x')\n")
    main(["scan", str(tmp_path)])

    assert "config pull" not in capsys.readouterr().out
