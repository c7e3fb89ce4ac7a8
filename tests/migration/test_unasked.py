"""Code that moves while no manifest would bring Capa along is told of, once for each SDK."""

import json

import pytest

SAID = "no manifest asks for requests, so none will ask for capa-core[requests]"


@pytest.fixture
def findings(capa, tmp_path):
    def check(manifests: dict[str, str]) -> list[tuple[str, str]]:
        root = tmp_path / "tree"
        for name, text in {"pyproject.toml": "[build-system]\nrequires = []\n", **manifests}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        (root / "a.py").write_text("import requests\n")
        (root / "b.py").write_text("from requests import get\n")
        found = json.loads(capa("migrate", "check", root, "--json").out)["findings"]
        return [(one["path"], one["message"]) for one in found if one["rule"] == "manifests"]

    return check


def test_the_first_manifest_is_named_once(findings):
    assert [("pyproject.toml", SAID)] == findings({"docs/requirements.txt": "sphinx\n"})


@pytest.mark.parametrize("line", ["requests", "capa-core[requests]"])
def test_one_manifest_that_asks_is_enough(findings, line):
    assert [] == findings({"docs/requirements.txt": f"{line}\n"})


def test_script_that_asks_for_itself_needs_no_manifest(capa, tmp_path):
    (tmp_path / "requirements.txt").write_text("flask\n")
    (tmp_path / "a.py").write_text("# /// script\n# dependencies = ['requests']\n# ///\nimport requests\n")

    assert SAID not in capa("migrate", "check", tmp_path).out


def test_nothing_is_said_once_the_code_has_moved(capa, tmp_path, findings):
    findings({})
    capa("migrate", "apply", tmp_path / "tree")

    assert SAID not in capa("migrate", "check", tmp_path / "tree").out
