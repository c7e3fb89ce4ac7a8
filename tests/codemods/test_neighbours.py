# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""The line for Capa is pinned and sorted as its neighbours are."""

from __future__ import annotations

import pytest

from capa_codemods import __version__
from capa_codemods.manifests.neighbours import sorted_place

PINNED = f"capa-core[requests]=={__version__}"
TABLE = f'capa-core = {{version = "=={__version__}", extras = ["requests"]}}'
OPEN = 'capa-core = {version = "*", extras = ["requests"]}'


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("requirements.txt", "requests==2.32.3\nflask==3.0\n", f"requests==2.32.3\n{PINNED}\nflask==3.0\n"),
        ("requirements.txt", "requests==2.32.3\n", f"requests==2.32.3\n{PINNED}\n"),
        ("requirements.txt", "requests==2.32.3 ; os_name == 'nt'\n", f"requests==2.32.3 ; os_name == 'nt'\n{PINNED}; os_name == 'nt'\n"),
        ("requirements.txt", "requests===2.32.3\na @ https://y/x.whl\ngit+https://y/z@a\n", f"requests===2.32.3\n{PINNED}\na @ https://y/x.whl\ngit+https://y/z@a\n"),
        ("requirements.txt", "requests==2.32.3\nflask\n", "requests==2.32.3\ncapa-core[requests]\nflask\n"),
        ("requirements.txt", "requests==2.32.*\n", "requests==2.32.*\ncapa-core[requests]\n"),
        ("requirements.txt", "requests==2.32.3,<3\n", "requests==2.32.3,<3\ncapa-core[requests]\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    requests==2.32.3\n    flask==3\n", f"[options]\ninstall_requires =\n    requests==2.32.3\n    {PINNED}\n    flask==3\n"),
        ("setup.py", "setup(install_requires=['requests==2.32.3'])\n", f"setup(install_requires=['requests==2.32.3', '{PINNED}'])\n"),
        ("pyproject.toml", "[project]\ndependencies = ['requests==2.32.3']\n", f"[project]\ndependencies = ['requests==2.32.3', '{PINNED}']\n"),
        ("environment.yml", "dependencies:\n- flask\n- pip:\n  - requests==2.32.3\n", f"dependencies:\n- flask\n- pip:\n  - requests==2.32.3\n  - {PINNED}\n"),
        ("Pipfile", "[packages]\nrequests = '==2.32.3'\nflask = {version = '==3.0'}\n", f"[packages]\nrequests = '==2.32.3'\n{TABLE}\nflask = {{version = '==3.0'}}\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.11'\nrequests = '2.32.3'\n", f"[tool.poetry.dependencies]\npython = '^3.11'\nrequests = '2.32.3'\n{TABLE.replace('==', '')}\n"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nrequests = '2.32.3'\nflask = '^3'\n", f"[tool.poetry.dependencies]\nrequests = '2.32.3'\n{OPEN}\nflask = '^3'\n"),
        ("Pipfile", "[packages]\nrequests = '==2.32.3'\na = {path = '.'}\n", f"[packages]\nrequests = '==2.32.3'\n{OPEN}\na = {{path = '.'}}\n"),
    ],
)  # fmt: skip
def test_line_is_pinned_where_all_its_neighbours_are(rewritten, path, before, after):
    assert after == rewritten(before, path).text.decode()


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("requirements.txt", "attrs\nflask\nrequests\n", "attrs\ncapa-core[requests]\nflask\nrequests\n"),
        ("requirements.txt", "flask\nrequests\n", "capa-core[requests]\nflask\nrequests\n"),
        ("requirements.txt", "\ufeffflask\nrequests\n", "\ufeffflask\nrequests\ncapa-core[requests]\n"),
        ("requirements.txt", "attrs\nboto3\ncelery", "attrs\nboto3\ncapa-core[celery]\ncelery"),
        ("requirements.txt", "Babel==2\r\nPyYAML==6\r\nrequests==2.32.3\r\n", f"Babel==2\r\n{PINNED}\r\nPyYAML==6\r\nrequests==2.32.3\r\n"),
        ("requirements.txt", "Zope\nattrs\nrequests\n", "Zope\nattrs\ncapa-core[requests]\nrequests\n"),
        ("requirements.txt", "flask-login==1\nflask==3\nrequests==2.32.3\n", f"{PINNED}\nflask-login==1\nflask==3\nrequests==2.32.3\n"),
        ("requirements.txt", "requests\nflask\n", "requests\ncapa-core[requests]\nflask\n"),
        ("requirements.txt", "# web\nflask\n\n# http\nhttpx\nrequests\n", "# web\nflask\n\n# http\ncapa-core[requests]\nhttpx\nrequests\n"),
        ("requirements.txt", "# web\nflask\n# http\nrequests\n", "# web\nflask\n# http\nrequests\ncapa-core[requests]\n"),
        ("requirements.txt", "flask\nhttpx  # also http\nrequests\n", "capa-core[requests]\nflask\nhttpx  # also http\nrequests\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    flask\n    requests\n", "[options]\ninstall_requires =\n    capa-core[requests]\n    flask\n    requests\n"),
        ("setup.cfg", "[options]\ninstall_requires = flask\n    requests\n", "[options]\ninstall_requires = flask\n    requests\n    capa-core[requests]\n"),
        ("tox.ini", "[testenv]\ndeps =\n  attrs\n  requests\n", "[testenv]\ndeps =\n  attrs\n  capa-core[requests]\n  requests\n"),
        ("environment.yml", "dependencies:\n- pip:\n  - flask\n  - requests\n", "dependencies:\n- pip:\n  - capa-core[requests]\n  - flask\n  - requests\n"),
        ("environment.yml", "dependencies:\n- pip:\n  - 'flask'\n  - requests\n", "dependencies:\n- pip:\n  - capa-core[requests]\n  - 'flask'\n  - requests\n"),
        ("setup.py", "setup(install_requires=['flask', 'requests'])\n", "setup(install_requires=['capa-core[requests]', 'flask', 'requests'])\n"),
        ("setup.py", "setup(install_requires=[\n  'attrs',\n  'requests',\n])\n", "setup(install_requires=[\n  'attrs',\n  'capa-core[requests]',\n  'requests',\n])\n"),
        ("pyproject.toml", '[project]\ndependencies = [\n    "attrs",  # x\n    "Flask",\n    "requests",\n]\n', '[project]\ndependencies = [\n    "attrs",  # x\n    "capa-core[requests]",\n    "Flask",\n    "requests",\n]\n'),
        ("pyproject.toml", '[project]\ndependencies = [\n    "flask",\n    "requests",\n]\n', '[project]\ndependencies = [\n    "capa-core[requests]",\n    "flask",\n    "requests",\n]\n'),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.11'\nflask = '*'\nrequests = '*'\n", f"[tool.poetry.dependencies]\npython = '^3.11'\n{OPEN}\nflask = '*'\nrequests = '*'\n"),
        ("Pipfile", "[packages]\nflask = '*'\nrequests = '*'\n", f"[packages]\n{OPEN}\nflask = '*'\nrequests = '*'\n"),
        ("Pipfile", "[packages]\nattrs = '*'\nrequests = '*'\n", f"[packages]\nattrs = '*'\n{OPEN}\nrequests = '*'\n"),
        ("run.py", "# /// script\n# dependencies = [\n#   'flask',\n#   'requests',\n# ]\n# ///\n", "# /// script\n# dependencies = [\n#   'capa-core[requests]',\n#   'flask',\n#   'requests',\n# ]\n# ///\n"),
    ],
)  # fmt: skip
def test_sorted_list_stays_sorted(rewritten, path, before, after):
    assert after == rewritten(before, path).text.decode()


def test_two_lines_for_one_list_stand_beside_their_sdks(rewritten):
    before = "[project]\ndependencies = ['celery', \"requests; os_name == 'nt'\"]\n"

    assert (
        "[project]\ndependencies = ['celery', 'capa-core[celery]', \"requests; os_name == 'nt'\", \"capa-core[requests]; os_name == 'nt'\"]\n"
        == rewritten(before, "pyproject.toml").text.decode()
    )


@pytest.mark.parametrize(
    ("texts", "place"),
    [(["a", "d"], 1), (["B", "d"], 1), (["d", "e"], 0), (["a", "b"], 2), (["d", "a"], None), (["a"], None), ([], None), (["d", "d>1"], None)],
)  # fmt: skip
def test_place_in_a_sorted_list(texts, place):
    assert place == sorted_place(texts, "capa-core")
