"""Missing requirements: one warning for each SDK that moves while no manifest would install Capa."""

import json

import pytest

MESSAGE = "no manifest requires requests, so none will require capa-core[requests]"


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
    assert [("pyproject.toml", MESSAGE)] == findings({"docs/requirements.txt": "sphinx\n"})


@pytest.mark.parametrize("line", ["requests", "capa-core[requests]"])
def test_one_manifest_that_requires_it_is_enough(findings, line):
    assert [] == findings({"docs/requirements.txt": f"{line}\n"})


MENTIONS = {
    "setup.py": "setup(name='requests', description='for requests and more', keywords=['requests'])\n",
    "setup.cfg": "[metadata]\nname = x\ndescription = for requests\n[isort]\nknown_third_party = requests\n",
    "tox.ini": "[mypy-requests.*]\nx = 1\n",
    "pyproject.toml": "[project]\ndescription = 'for requests'\n[tool.isort]\nknown = ['requests']\n"
    "[project.optional-dependencies]\nrequests = ['httpx', 'kombu[requests]']\n",
    "Pipfile": "[packages]\nkombu = {version = '*', extras = ['requests']}\n[scripts]\nx = 'requests'\n",
    "environment.yml": "name: requests\ndependencies:\n- flask\n",
    "requirements.txt": "kombu[requests]\n",
}


@pytest.mark.parametrize("manifest", MENTIONS)
def test_manifest_that_only_mentions_it_does_not_require_it(findings, manifest):
    assert [MESSAGE] == [message for _, message in findings({manifest: MENTIONS[manifest]})]


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("setup.py", "setup(install_requires=['requests>=2'])\n"),
        ("setup.py", "NEEDED = 'flask requests'.split()\nsetup(install_requires=NEEDED, description='x')\n"),
        ("setup.py", "setup(**read('for requests'))\n"),
        ("setup.py", "print 'for requests'\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n  flask\n  requests>=2\n"),
        ("setup.cfg", "[metadata]\ndescription = requests\n[options]\ninstall_requires = file: x.txt\n"),
        ("tox.ini", "[testenv]\ndeps = py311: requests\n"),
        ("tox.ini", "[testenv]\ncommands = pip install requests\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nrequests = '^2'\n"),
        ("pyproject.toml", "[tool.pixi.dependencies]\nrequests = {version = '*'}\n"),
        ("pyproject.toml", "[tool.briefcase.app.x]\nrequires = ['requests']\n"),
        ("pyproject.toml", '[tool.tox]\nlegacy_tox_ini = "[testenv]\\ndeps=requests"\n'),
        ("pyproject.toml", "[project]\ndynamic = ['dependencies']\ndescription = 'for requests'\n"),
        ("Pipfile", "[docs]\nrequests = '*'\n"),
        ("environment.yml", "dependencies:\n- conda-forge::requests\n"),
        ("environment.yml", "dependencies:\n- pip:\n  - requests\n"),
        ("environment.yml", "dependencies: [\n# requests\n'requests'"),
        ("requirements.txt", "-e ../requests\n"),
        ("requirements.txt", "git+https://github.com/psf/requests.git\n"),
    ],
)
def test_manifest_that_requires_it_or_may_is_enough(findings, manifest, text):
    assert [] == findings({manifest: text})


def test_script_with_its_own_requirements_needs_no_manifest(capa, tmp_path):
    (tmp_path / "requirements.txt").write_text("flask\n")
    (tmp_path / "a.py").write_text("# /// script\n# dependencies = ['requests']\n# ///\nimport requests\n")

    assert MESSAGE not in capa("migrate", "check", tmp_path).out


def test_there_is_no_warning_once_the_code_has_moved(capa, tmp_path, findings):
    findings({})
    capa("migrate", "apply", tmp_path / "tree")

    assert MESSAGE not in capa("migrate", "check", tmp_path / "tree").out
