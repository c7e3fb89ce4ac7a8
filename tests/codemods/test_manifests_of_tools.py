# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""setup.py, setup.cfg, tox.ini, Pipfile and conda environments: a line for Capa where that is certain, else a finding."""

from __future__ import annotations

import pytest

from capa_codemods.manifests.conda_file import CondaFile
from capa_codemods.manifests.ini_file import SetupCfg
from capa_codemods.manifests.setup_file import SetupFile


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("setup.cfg", "[metadata]\nname = x\n\n[options]\npackages = find:\ninstall_requires =\n    # http\n    requests>=2 ; python_version > '3'\n    flask\nzip_safe = no\n",
         "[metadata]\nname = x\n\n[options]\npackages = find:\ninstall_requires =\n    # http\n    requests>=2 ; python_version > '3'\n    capa-core[requests]; python_version > '3'\n    flask\nzip_safe = no\n"),
        ("setup.cfg", "[options]\ninstall_requires = requests\n", "[options]\ninstall_requires = requests\n    capa-core[requests]\n"),
        ("setup.cfg", "[options]\r\ninstall_requires =\r\n\trequests\r\n", "[options]\r\ninstall_requires =\r\n\trequests\r\n\tcapa-core[requests]\r\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n  flask\n[options.extras_require]\nweb = requests\n  celery[redis]\n",
         "[options]\ninstall_requires =\n  flask\n[options.extras_require]\nweb = requests\n  celery[redis]\n  capa-core[celery,requests]\n"),
        ("setup.cfg", "[options]\ninstall_requires =\n    capa-core[celery]>=1\n    requests", "[options]\ninstall_requires =\n    capa-core[celery,requests]>=1\n    requests"),
        ("setup.cfg", "[options]\nsetup_requires =\n    requests\n", "[options]\nsetup_requires =\n    requests\n    capa-core[requests]\n"),
        ("setup.py", "setup(setup_requires=['requests'])\n", "setup(setup_requires=['requests', 'capa-core[requests]'])\n"),
        ("tox.ini", "[testenv]\ndeps =\n    -rrequirements.txt\n    requests  # http\n    pytest\ncommands = pytest\n",
         "[testenv]\ndeps =\n    -rrequirements.txt\n    requests  # http\n    capa-core[requests]\n    pytest\ncommands = pytest\n"),
        ("tox.ini", "[testenv:docs]\ndeps = requests\n", "[testenv:docs]\ndeps = requests\n    capa-core[requests]\n"),
        ("tox.ini", "[testenv]\ndeps = \n  {[base]deps}\n  celery>=5\n", "[testenv]\ndeps = \n  {[base]deps}\n  celery>=5\n  capa-core[celery]\n"),
        ("Pipfile", '[[source]]\nname = "requests"\n\n[packages]\nrequests = "*"  # http\nflask = "*"\n\n[dev-packages]\ncelery = {extras = ["redis"], version = ">=5"}\n',
         ('[[source]]\nname = "requests"\n\n[packages]\nrequests = "*"  # http\ncapa-core = {version = "*", extras = ["requests"]}\nflask = "*"\n\n'
         '[dev-packages]\ncelery = {extras = ["redis"], version = ">=5"}\ncapa-core = {version = "*", extras = ["celery"]}\n')),
        ("environment.yml", "name: x\ndependencies:\n  - python=3.11\n  - pip:\n      - requests>=2  # http\n      - -r more.txt\n  - flask\n",
         "name: x\ndependencies:\n  - python=3.11\n  - pip:\n      - requests>=2  # http\n      - capa-core[requests]\n      - -r more.txt\n  - flask\n"),
        ("environment.yml", "dependencies:\n- pip:\n  - flask\n- {pip: [requests]}\n", "dependencies:\n- pip:\n  - flask\n  - capa-core[requests]\n- {pip: [requests]}\n"),
        ("Pipfile", '[docs]\nrequests = "*"\n', '[docs]\nrequests = "*"\ncapa-core = {version = "*", extras = ["requests"]}\n'),
        ("environment-dev.yaml", "dependencies:\n- celery\n- pip\n- pip:\n  - 'black'\n", "dependencies:\n- celery\n- pip\n- pip:\n  - 'black'\n  - capa-core[celery]\n"),
        ("setup.py", "from setuptools import setup\nsetup(\n    install_requires=[\n        'requests>=2',  # http\n        'flask',\n    ],\n)\n",
         "from setuptools import setup\nsetup(\n    install_requires=[\n        'requests>=2',  # http\n        'capa-core[requests]',\n        'flask',\n    ],\n)\n"),
        ("setup.py", 'import setuptools as s\ns.setup(install_requires=["flask"], extras_require={"é": ["requests"], "b": X})\n',
         'import setuptools as s\ns.setup(install_requires=["flask"], extras_require={"é": ["requests", "capa-core[requests]"], "b": X})\n'),
        ("setup.py", 'setup(install_requires=["requests;os_name==\'nt\'"])\n', 'setup(install_requires=["requests;os_name==\'nt\'", "capa-core[requests]; os_name==\'nt\'"])\n'),
        ("setup.py", 'setup(install_requires=["capa-core[celery]", u"requests"])\n', 'setup(install_requires=["capa-core[celery,requests]", u"requests"])\n'),
    ],
)  # fmt: skip
def test_manifest_gets_a_line(rewritten, path, before, after):
    result = rewritten(before, path)

    assert after == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("path", "source", "line", "reported"),
    [
        ("setup.cfg", "[options]\ninstall_requires = requests; flask\n", 2, "requires requests without capa-core[requests]: `;` may begin a marker or the next requirement"),
        ("tox.ini", "[testenv]\ndeps =\n    py311: requests\n", 3, "requires requests without capa-core[requests]: it is required in some environments only"),
        ("environment.yml", "name: x\ndependencies: [conda-forge::requests=2.32, pip]\n", 2, "requires requests without capa-core[requests]: not every item has a line of its own"),
        ("environment.yml", "dependencies:\n- flask\n- pip: ['requests', 'capa-core']\n", 3, "requires requests without capa-core[requests]: not every item has a line of its own"),
        ("environment.yml", "dependencies:\n  - conda-forge::requests=2.32\n", 2, "requires requests without capa-core[requests]: it has no list for pip"),
        ("environment.yml", "dependencies:\n  - pip:\n    - requests\n  - {{ more }}: [\n", 3, "requires requests without capa-core[requests]: it cannot be read as YAML"),
        ("environment.yml", "x: &a\n- b\ndependencies:\n- pip:\n  - requests\n", 5, "requires requests without capa-core[requests]: it has anchors, which are not followed"),
        ("setup.py", "REQUIRES = [\n    'requests',\n]\nsetup(install_requires=REQUIRES)\n", 2,
         "lists an SDK without capa-core[requests]: the list is not literal in `setup(…)`"),
        ("setup.py", "setup(install_requires=['requests' '>=2'])\n", 1, "requires an SDK without capa-core[requests]: the string before it is joined or escaped"),
        ("Pipfile", "[packages.requests]\nversion = '*'\n", 1, 'capa-core = {version = "*", extras = ["requests"]} fits no place in packages'),
    ],
)  # fmt: skip
def test_manifest_in_doubt_is_named(rewritten, path, source, line, reported):
    result = rewritten(source, path)

    assert source.encode() == result.text
    assert [(line, reported)] == [(finding.line, finding.message) for finding in result.outcome.findings]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("setup.cfg", "[metadata]\nname = requests\nkeywords = celery\n[options]\ninstall_requires = file: requirements.txt\n"),
        ("setup.cfg", "[options]\npython_requires =\n    requests\n[flake8]\nmax-line-length = 1\n"),
        ("tox.ini", "[testenv]\ncommands =\n    requests\nallowlist_externals = celery\n"),
        ("setup.py", "setup(name='requests', keywords=['celery'], packages=['celery'], classifiers=['requests'])\n"),
        ("setup.py", "print 'requests'\n"),
        ("setup.py", "setup(install_requires=['requests', 'capa-core[requests]'])\n"),
        ("environment.yml", "name: requests\nchannels:\n  - celery\ndependencies:\n  - pip:\n    - flask\n"),
        ("Pipfile", "[requires]\nrequests = '3'\n"),
        ("conda-lock.yml", "dependencies:\n- pip:\n  - requests\n"),
        ("values.yaml", "dependencies:\n- pip:\n  - requests\n"),
    ],
)  # fmt: skip
def test_manifest_that_requires_no_sdk_stays(rewritten, path, source):
    result = rewritten(source, path)

    assert source.encode() == result.text
    assert [] == result.messages


@pytest.mark.parametrize(
    ("path", "source", "lock", "command"),
    [
        ("Pipfile", '[packages]\nrequests = "*"\n', "Pipfile.lock", "pipenv lock"),
        ("environment.yml", "dependencies:\n- pip:\n  - requests\n", "conda-lock.yml", "conda-lock lock --file environment.yml"),
        ("pyproject.toml", '[tool.pixi.pypi-dependencies]\nrequests = "*"\n', "pixi.lock", "pixi lock"),
    ],
)  # fmt: skip
def test_command_for_the_lock_file_is_named(rewritten, path, source, lock, command):
    result = rewritten(source, path, {lock: "requests"})

    assert [f"run `{command}`"] == [finding.next_step for finding in result.outcome.findings]


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("pyproject.toml", '[project.scripts]\nx = "requests.exceptions:main" # requests.exceptions:main\n', '[project.scripts]\nx = "capa_requests.exceptions:main" # requests.exceptions:main\n'),
        ("pyproject.toml", "[project.entry-points.plug]\nx = 'celery:Celery'\n[tool.poetry.scripts]\ny = 'celery:Celery'\n",
         "[project.entry-points.plug]\nx = 'capa_celery:Celery'\n[tool.poetry.scripts]\ny = 'capa_celery:Celery'\n"),
        ("setup.cfg", "[options.entry_points]\nconsole_scripts =\n    x = requests.sessions:Session.go [more]\n    y = p:q\n",
         "[options.entry_points]\nconsole_scripts =\n    x = capa_requests.sessions:Session.go [more]\n    y = p:q\n"),
        ("pyproject.toml", '[project.entry-points."pytest11"]\nc = "celery.schedules"\n', '[project.entry-points."pytest11"]\nc = "capa_celery.schedules"\n'),
        ("setup.cfg", "[options.entry_points]\npytest11 =\n    c = celery.schedules [x]\n", "[options.entry_points]\npytest11 =\n    c = capa_celery.schedules [x]\n"),
        ("setup.py", "setup(entry_points={'celery.schedules': ['c = celery.schedules']})\n", "setup(entry_points={'celery.schedules': ['c = capa_celery.schedules']})\n"),
        ("setup.py", "setup(entry_points={'console_scripts': ['x=requests.sessions:go', 'y=p:q']})\n", "setup(entry_points={'console_scripts': ['x=capa_requests.sessions:go', 'y=p:q']})\n"),
    ],
)  # fmt: skip
def test_entry_point_moves(rewritten, path, before, after):
    result = rewritten(before, path)

    assert after == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    ("path", "source", "reported"),
    [
        ("pyproject.toml", '[project.scripts]\nw = "celery.__main__:main"\n', "the entry point `celery.__main__:main` stays on the original: capa_celery does not list it"),
        ("pyproject.toml", '[project.entry-points.pytest11]\nc = "celery.contrib.pytest"\n', "the entry point `celery.contrib.pytest` stays on the original: capa_celery does not list it"),
        ("setup.py", "setup(entry_points={'x': ['b = celery.bootsteps']})\n", "the entry point `b = celery.bootsteps` stays on the original: the worker's inner steps are another worker's"),
        ("setup.cfg", "[options.entry_points]\nx =\n  w = requests.packages:y\n", "the entry point `w = requests.packages:y` stays on the original: vendored libraries are the original's own"),
    ],
)  # fmt: skip
def test_entry_point_that_cannot_move_is_named(rewritten, path, source, reported):
    result = rewritten(source, path)

    assert source.encode() == result.text
    assert [reported] == result.messages


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pyproject.toml", '[project.entry-points."celery.commands"]\nx = "proj.cli:x"\n'),
        ("pyproject.toml", '[tool.x]\ny = "requests.sessions:z"\n'),
        ("pyproject.toml", '[project.scripts]\nx = "proj.requests:main"\n'),
        (
            "setup.cfg",
            "[options.entry_points]\nx =\n    requests = proj:main\ncelery.schedules =\n    x = proj\n",
        ),
        ("setup.py", "setup(entry_points={'celery.schedules': ['x = proj']})\n"),
    ],
)
def test_entry_point_of_the_project_stays(rewritten, path, source):
    result = rewritten(source, path)

    assert source.encode() == result.text
    assert [] == result.messages


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("setup.cfg", "[options]\n" + "a " * 100_000 + "\nrequests"),
        ("environment.yml", "dependencies:\n- pip:\n  - requests" + " " * 100_000 + "x\n"),
        ("pyproject.toml", "requests = " + "[" * 100_000),
        ("setup.py", "requests = '" + "a." * 100_000 + "'\n"),
        ("start.sh", "exec " * 100_000 + "celery -A x worker\n"),
        ("compose.yaml", "command: " + "[" * 100_000 + "celery\n"),
        (
            "mod.py",
            "import requests\n"
            + "T = {'a': 'requests'}\n" * 3_000
            + "def __getattr__(n): return import_module(T[n])\n",
        ),
    ],
    ids=lambda value: value[:20],
)
@pytest.mark.timeout(20)
def test_hostile_file_is_read_in_bounded_time(rewritten, path, source):
    assert rewritten(source, path).outcome.status in {"clean", "failed", "changed"}


@pytest.mark.parametrize("source", ["[x]\nrequests\n  more\n", "requests\n", "[x\nrequests = 1\n"])
def test_broken_ini_file_is_a_finding(rewritten, source):
    outcome = rewritten(source, "tox.ini").outcome

    assert ("failed", "correct it and run again") == (outcome.status, outcome.next_step)
    assert outcome.reason.startswith("cannot be read")


def test_setup_py_is_python_and_a_manifest(rewritten):
    source = "import requests\nfrom setuptools import setup\nsetup(install_requires=['requests'], tests_require=X)\n"

    result = rewritten(source, "setup.py")

    assert (
        "import capa_requests as requests\nfrom setuptools import setup\n"
        "setup(install_requires=['requests', 'capa-core[requests]'], tests_require=X)\n"
    ) == result.text.decode()
    assert {"imports", "setup-py"} == {change.rule for change in result.outcome.changes}


HEADER = "#!/usr/bin/env -S uv run\n# /// script\n# requires-python = '>=3.11'\n# dependencies = [\n#   'requests<3',  # http\n# ]\n#\n# ///\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (HEADER, HEADER.replace("# http\n", "# http\n#   'capa-core[requests]',\n")),
        ("# é\r\n# /// script\r\n# dependencies = ['requests']\r\n# ///\r\nx = 'requests'\r\n",
         "# é\r\n# /// script\r\n# dependencies = ['requests', 'capa-core[requests]']\r\n# ///\r\nx = 'requests'\r\n"),
        (HEADER + "import requests\n", HEADER.replace("# http\n", "# http\n#   'capa-core[requests]',\n") + "import capa_requests as requests\n"),
    ],
)  # fmt: skip
def test_header_of_a_script_gets_a_line(rewritten, before, after):
    result = rewritten(before, "tool.py")

    assert after == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    "source",
    [
        "# dependencies = ['requests']\n",
        "# /// script\n# dependencies = ['requests']\n",
        "# /// script\n# dependencies = ['requests'\n# ///\n",
        "# /// script\n# dependencies = []\n# ///\nX = ['requests']\n",
        "# /// script\n# dependencies = []\n\n# x = ['requests']\n# ///\n",
        "x = 1\n  # /// script\n# dependencies = ['requests']\n# ///\n",
        "# /// script\n# dependencies = ['requests', 'capa-core[requests]']\n# ///\n",
        "# /// other\n# dependencies = ['requests']\n# ///\n",
    ],
)
def test_script_whose_header_requires_no_sdk_stays(rewritten, source):
    result = rewritten(source, "tool.py")

    assert source.encode() == result.text
    assert [] == result.messages


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (SetupCfg, "[options]\ninstall_requires =\n    requests\n    flask\n", "[options]\ninstall_requires =\n    requests\n    capa-core\n"),
        (SetupCfg, "[options]\ninstall_requires = requests\n", "[options\n"),
        (CondaFile, "dependencies:\n- pip:\n  - requests\n", "dependencies:\n- pip:\n  - capa-core\n"),
        (CondaFile, "dependencies:\n- pip:\n  - requests\n", "dependencies: [\n"),
        (SetupFile, "setup(install_requires=['requests'])\n", "setup(install_requires=['capa-core'])\n"),
        (SetupFile, "setup(install_requires=['requests'])\n", "setup(install_requires=['requests', 'capa-core'], x=1)\n"),
        (SetupFile, "setup(install_requires=['requests'])\n", "setup(\n"),
    ],
)  # fmt: skip
def test_proof_refuses_other_changes(names, kind, before, after):
    path = kind.suffixes[0] if kind is not CondaFile else "environment.yml"

    assert kind(path, before.encode()).flaw(after.encode(), names)


READS_PIPFILE = "parser.read('Pipfile')\n"


def test_pipfile_that_setup_py_reads_gets_no_first_table(rewritten):
    source = "[packages]\nflask = '*'\nrequests = '*'\n"
    files = {"lib/setup.py": READS_PIPFILE, "lib/Pipfile.lock": "{}"}

    result = rewritten(source, "lib/Pipfile", files)

    assert source.encode() == result.text
    reported = "packages: requires requests without capa-core[requests]: "
    reported += "lib/setup.py names this file, and may not be able to read a table"
    assert [(3, reported)] == [(finding.line, finding.message) for finding in result.outcome.findings]


@pytest.mark.parametrize(
    ("more", "setup"),
    [
        ("flask = {version = '*'}\n", READS_PIPFILE),
        ("", "json.load('Pipfile.lock')\n"),
        ("", "setup()  # see Pipfile\n"),
    ],
)
def test_pipfile_that_has_tables_or_is_not_read_gets_one(rewritten, more, setup):
    result = rewritten(f"[packages]\nrequests = '*'\n{more}", "Pipfile", {"setup.py": setup})

    assert b"capa-core = {version" in result.text
