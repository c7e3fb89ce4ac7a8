# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Pins that exclude what Capa needs: the manifest stays byte for byte, and each is an error at its line."""

from __future__ import annotations

import pytest

SDK = "capa-core[requests], which needs requests>=2.32,<3"
OWN = "capa-core[requests], which needs urllib3>=1.26"
BASE = "capa-core, which needs pydantic>=2.7"
PYTHON = "capa-core, which needs python>=3.11"


@pytest.mark.parametrize(
    ("path", "source", "line", "reported"),
    [
        ("requirements.txt", "flask\nrequests==2.25.1 ; os_name == 'nt'  # old\n", 2, f"`requests==2.25.1` excludes {SDK}"),
        ("requirements.txt", "capa-core[requests]\nrequests[socks] \\\n  <2.30\n", 2, f"`requests<2.30` excludes {SDK}"),
        ("requirements.txt", "requests\nurllib3==1.25.11\n", 2, f"`urllib3==1.25.11` excludes {OWN}"),
        ("requirements.in", "capa-core[all]\npyyaml<6\n", 2, "`pyyaml<6` excludes capa-core[all], which needs pyyaml>=6.0.2"),
        ("requirements/dev.txt", "Pydantic<2\ncelery\n", 1, f"`pydantic<2` excludes {BASE}"),
        ("requirements.txt", "requests # \nwrapt==1.14.1\n", 2, "`wrapt==1.14.1` excludes capa-core, which needs wrapt>=1.16"),
        ("setup.py", "setup(\n    install_requires=['requests<2'],\n)\n", 2, f"`requests<2` excludes {SDK}"),
        ("setup.py", "setup(install_requires=['requests'],\n  extras_require={'x': ['pydantic~=1.10']})\n", 2, f"`pydantic~=1.10` excludes {BASE}"),
        ("setup.py", "setup(install_requires=['requests'],\n  python_requires='<3.11')\n", 2, f"`python<3.11` excludes {PYTHON}"),
        ("setup.cfg", "[options]\ninstall_requires =\n    requests<2\n", 3, f"`requests<2` excludes {SDK}"),
        ("setup.cfg", "[options]\npython_requires = >=3.6,<3.10\ninstall_requires =\n    requests\n", 2, f"`python>=3.6,<3.10` excludes {PYTHON}"),
        ("setup.cfg", "[options]\ninstall_requires =\n    requests\n    urllib3<1.26\n[options.entry_points]\nx =\n  y = requests.help:main\n", 4, f"`urllib3<1.26` excludes {OWN}"),
        ("tox.ini", "[testenv]\ndeps =\n    requests\n    pydantic==1.10\n", 4, f"`pydantic==1.10` excludes {BASE}"),
        ("pyproject.toml", "[project]\ndependencies = [\n'requests~=2.25.0',\n]\n", 3, f"`requests~=2.25.0` excludes {SDK}"),
        ("pyproject.toml", "[project]\nrequires-python = '==3.9.*'\ndependencies = ['requests']\n", 2, f"`python==3.9.*` excludes {PYTHON}"),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\n[dependency-groups]\nx = ['pydantic<2']\n", 4, f"`pydantic<2` excludes {BASE}"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nrequests = {version = '^1'}\n", 2, f"`requests^1` excludes {SDK}"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '~3.9'\nrequests = '*'\n", 2, f"`python~3.9` excludes {PYTHON}"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nrequests = '*'\n[tool.poetry.group.x.dependencies]\nurllib3 = '1.25.8'\n", 4, f"`urllib3 1.25.8` excludes {OWN}"),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\n[tool.pdm.dev-dependencies]\nx = ['urllib3==1.24']\n", 4, f"`urllib3==1.24` excludes {OWN}"),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\n[tool.pdm.resolution.overrides]\nurllib3 = '1.24'\n", 4, f"`urllib3 1.24` excludes {OWN}"),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\n[tool.uv]\nconstraint-dependencies = ['urllib3<1.26']\n", 4, f"`urllib3<1.26` excludes {OWN}"),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\n[tool.uv]\noverride-dependencies = ['pydantic==1.9']\n", 4, f"`pydantic==1.9` excludes {BASE}"),
        ("pyproject.toml", "[tool.hatch.envs.x]\ndependencies = ['requests', 'urllib3==1.20']\n", 2, f"`urllib3==1.20` excludes {OWN}"),
        ("pyproject.toml", "[tool.pixi.pypi-dependencies]\nrequests = '*'\n[tool.pixi.dependencies]\npydantic = '1.*'\n", 4, f"`pydantic 1.*` excludes {BASE}"),
        ("pyproject.toml", "[tool.tox]\nlegacy_tox_ini = '''\n[testenv]\ndeps =\n  requests==2.1\n'''\n", 5, f"`requests==2.1` excludes {SDK}"),
        ("Pipfile", "[packages]\nrequests = '==2.25.1'\n", 2, f"`requests==2.25.1` excludes {SDK}"),
        ("Pipfile", "[packages]\nrequests = '*'\npydantic = {version = '<2'}\n", 3, f"`pydantic<2` excludes {BASE}"),
        ("Pipfile", "[packages]\nrequests = '*'\n[requires]\npython_version = '3.8'\n", 4, f"`python 3.8` excludes {PYTHON}"),
        ("environment.yml", "dependencies:\n- requests=2.25\n- pip:\n  - capa-core[requests]\n", 2, f"`requests=2.25` excludes {SDK}"),
        ("environment.yml", "dependencies:\n- python=3.8\n- pip:\n  - requests\n", 2, f"`python=3.8` excludes {PYTHON}"),
        ("environment.yml", "dependencies:\n- pip:\n  - requests\n  - urllib3==1.25.9\n", 4, f"`urllib3==1.25.9` excludes {OWN}"),
        ("run.py", "# /// script\n# dependencies = ['requests', 'pydantic<2']\n# ///\n", 2, f"`pydantic<2` excludes {BASE}"),
        ("run.py", "# /// script\n# requires-python = '<3.11'\n# dependencies = ['requests']\n# ///\n", 2, f"`python<3.11` excludes {PYTHON}"),
        ("run.py", "# /// script\n# dependencies = ['requests']\n# [tool.uv]\n# constraint-dependencies = ['urllib3<1.26']\n# ///\n", 4, f"`urllib3<1.26` excludes {OWN}"),
        ("constraints.txt", "flask==2\nrequests==2.25.1\n", 2, f"`requests==2.25.1` excludes {SDK}"),
        ("upper-constraints.txt", "requests===2.25.1\n", 1, f"`requests===2.25.1` excludes {SDK}"),
        ("requirements/constraints.txt", "requests==2.32.3\nurllib3==1.25.9\n", 2, f"`urllib3==1.25.9` excludes {OWN}"),
        ("Dockerfile", "FROM x\nRUN pip install 'requests<2.20' gunicorn\n", 2, f"`requests<2.20` excludes {SDK}"),
        (".github/workflows/ci.yml", "jobs:\n  t:\n    steps:\n    - run: pip install requests pydantic==1.10\n", 4, f"`pydantic==1.10` excludes {BASE}"),
    ],
)  # fmt: skip
def test_manifest_with_a_pin_that_excludes_capa_stays(rewritten, path, source, line, reported):
    result = rewritten(source, path)

    assert source.encode() == result.text
    assert [(line, "error", reported)] == [found[1:4] for found in result.outcome.findings]


def test_the_next_step_is_to_move_the_pin(rewritten):
    (finding,) = rewritten("requests==2.25.1\n", "requirements.txt").outcome.findings

    assert "move to requests>=2.32,<3 and run again: until then this file stays as it is" == finding.next_step


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("requirements.txt", "capa-core[requests]\nrequests==2.32.3\nurllib3==1.26.19\npydantic>=1.10\nwrapt\n"),
        ("requirements.txt", "capa-core[requests]\nrequests\npydantic==1.10 ; python_version < '3.11'\n"),
        ("requirements.txt", "capa-core[requests]\nrequests\nurllib3<1.26 ; os_name == 'nt' and python_full_version<'3.9'\n"),
        ("requirements.txt", "pydantic<2\nurllib3<1.20\n"),
        ("requirements.txt", "capa-core[requests]\nrequests\ncodeowners<0.7\nlibcst==0.4\n"),
        ("constraints.txt", "requests==2.32.3\npydantic==2.9\n"),
        ("setup.py", "setup(install_requires=['requests', 'capa-core[requests]'], python_requires='>=3.11')\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.11'\nrequests = '*'\ncapa-core = {version = '*', extras = ['requests']}\n"),
        ("Dockerfile", "FROM x\nRUN pip install 'pydantic<2'\n"),
    ],
)  # fmt: skip
def test_pin_that_leaves_a_version_is_not_named(rewritten, path, source):
    result = rewritten(source, path)

    assert ([], source.encode()) == (result.messages, result.text)


@pytest.mark.parametrize("marker", ["python_version < '3.12'", "python_version < '3.9' or os_name == 'nt'"])
def test_pin_for_a_python_that_capa_runs_on_is_named(rewritten, marker):
    result = rewritten(f"requests\npydantic<2 ; {marker}\n", "requirements.txt")

    assert [f"`pydantic<2` excludes {BASE}"] == result.messages


def test_sdk_for_an_older_python_needs_no_capa(rewritten):
    source = "requests ; python_version < '3.8'\n"

    assert source.encode() == rewritten(source, "requirements.txt").text


@pytest.mark.parametrize(
    ("path", "source", "line", "asked"),
    [
        ("pyproject.toml", "[project]\ndependencies = ['requests']\nrequires-python = '>=3.8'\n", 3, "python>=3.8"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.9'\nrequests = '*'\n", 2, "python^3.9"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nrequests = '*'\npython = '*'\n", 3, "python*"),
        ("setup.cfg", "[options]\npython_requires = >=3.7, <4\ninstall_requires =\n  requests\n", 2, "python>=3.7, <4"),
        ("setup.py", "setup(python_requires='>=3.10', install_requires=['requests'])\n", 1, "python>=3.10"),
    ],
)  # fmt: skip
def test_range_that_allows_older_pythons_is_a_warning_beside_the_line(rewritten, path, source, line, asked):
    result = rewritten(source, path)

    assert b"capa-core" in result.text
    message = f"`{asked}` allows versions that capa-core does not run on: it needs >=3.11"
    assert [(line, "warning", message)] == [found[1:4] for found in result.outcome.findings]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pyproject.toml", "[project]\ndependencies = ['requests']\nrequires-python = '>=3.11'\n"),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\nrequires-python = '>=3.8,>=3.12'\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.11.2'\nrequests = '*'\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '3.9 || 3.12'\nrequests = '*'\n"),
        ("pyproject.toml", "[project]\ndependencies = ['flask']\nrequires-python = '>=3.8'\nkeywords = ['requests']\n"),
        ("environment.yml", "dependencies:\n- python>=3.8\n- pip:\n  - requests\n"),
    ],
)  # fmt: skip
def test_range_of_pythons_that_capa_runs_on_is_not_named(rewritten, path, source):
    assert [] == rewritten(source, path).messages
