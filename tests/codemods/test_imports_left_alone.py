"""The silent cases: texts that look like an import of an SDK and are none, and imports that cannot move."""

from __future__ import annotations

import pytest

from capa_codemods.manifests.setup_file import SetupFile
from capa_codemods.project import Project


@pytest.mark.parametrize(
    "source",
    [
        "",
        "import os\n",
        "x = 1\n",
        "from . import requests\n",
        "from .requests import get\n",
        "from ..celery import app\n",
        "from pkg import redis, requests\n",
        "from pkg.requests import get\n",
        "import pkg.requests\n",
        "import pkg.requests as requests\n",
        "from requests_oauthlib import OAuth2Session\n",
        "import requestsx, myrequests\n",
        "import capa_requests as requests\n",
        "from capa_requests.exceptions import HTTPError\n",
        "task(requests=3, celery=4)\n",
        "self.requests.get(url)\n",
        "task.requests.get(url)\n",
        "def requests(): ...\n",
        "requests = load()\nrequests.append(1)\n",
        "# import requests\n",
        "'''\nimport requests\n'''\n",
        's = "import requests"\n',
        'print(f"import requests {x}")\n',
        "class requests: import_ = 1\n",
    ],
)
def test_other_imports_stay(rewritten, source):
    result = rewritten(source)

    assert source.encode() == result.text
    assert "clean" == result.outcome.status
    assert [] == result.messages


@pytest.mark.parametrize(
    ("source", "reported"),
    [
        (
            "import requests.foo\n",
            (
                "`requests.foo` stays on the original: capa_requests does not list it;"
                " from here on `requests` is the original"
            ),
        ),
        (
            "import requests.foo as foo\n",
            "`requests.foo` stays on the original: capa_requests does not list it",
        ),
        (
            "from requests.foo import bar\n",
            "`requests.foo.bar` stays on the original: capa_requests does not list it",
        ),
        (
            "from celery import security\n",
            "`celery.security` stays on the original: capa_celery does not list it",
        ),
        (
            "from celery.security import setup_security\n",
            "`celery.security.setup_security` stays on the original: capa_celery does not list it",
        ),
        (
            "from requests import packages\n",
            "`requests.packages` stays on the original: vendored libraries are the original's own",
        ),
    ],
)
def test_an_unserved_name_stays_and_is_reported(rewritten, source, reported):
    result = rewritten(source)

    assert source.encode() == result.text
    assert [reported] == result.messages


@pytest.mark.parametrize(
    ("source", "step"),
    [
        ("from celery import security\n", "it keeps working, on the original SDK"),
        ("from requests import packages\n", "`capa explain requests/names`"),
        (
            "from celery.utils.gone import x\n",
            "see that celery >=5.3 still has it: then it keeps working, on the original SDK",
        ),
    ],
)
def test_nothing_is_said_to_work_that_the_original_may_not_have(rewritten, source, step):
    (finding,) = rewritten(source).outcome.findings

    assert step == finding.next_step


def test_statement_to_split_with_comments_inside_stays_and_is_reported(rewritten):
    source = "from requests import (\n    get,  # fast\n    packages,\n)\n"

    result = rewritten(source)

    assert source.encode() == result.text
    assert "`from requests import …` must become several imports, and has comments inside" in result.messages


@pytest.mark.parametrize(
    "comment", ["# capa: ignore", "# capa: ignore[imports]", "# noqa # capa: ignore[x, imports]"]
)
def test_ignore_comment_keeps_the_line(rewritten, comment):
    source = f"import requests  {comment}\nimport celery\n"

    result = rewritten(source)

    assert f"import requests  {comment}\nimport capa_celery as celery\n".encode() == result.text


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from requests import (  # capa: ignore\n    get,\n    put,\n)\n", ""),
        ("from requests import (\n    get,\n    put,\n)  # capa: ignore[imports]\n", ""),
        ("x = [\n    patch(\n        'requests.get',  # capa: ignore\n    )\n]\n", ""),
        ("x = [  # capa: ignore[strings]\n    patch(\n        'requests.get',\n    )\n]\n", ""),
        ("x = [\n    patch(\n        'requests.get',\n    )\n]  # capa: ignore\n", ""),
        ("@patch(\n    'requests.get',\n)  # capa: ignore\ndef f(): ...\n", ""),
        ("with patch('requests.get'), \\\n        patch('requests.put'):  # capa: ignore\n    pass\n", ""),
        # A comment in the middle, and one behind the head of a block, speak for their own lines.
        ("from requests import (\n    get,  # capa: ignore\n)\n", "requests"),
        ("def f(  # capa: ignore\n):\n    import celery\n", "celery"),
        ("x = '''\n'''  # capa: ignore\nimport celery\n", "celery"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_ignore_comment_counts_on_both_ends_of_a_statement(rewritten, source, expected, newline):
    data = source.replace("\n", newline).encode()

    changed = {edit.new.partition(b" ")[0] for edit in rewritten(data).outcome.edits}

    assert ({f"capa_{expected}".encode()} if expected else set()) == changed


@pytest.mark.parametrize(
    "source",
    [
        "x = '# capa: ignore'; import requests\n",
        "x = '''\n# capa: ignore '''; import requests\n",
        "import requests; x = (\n'# capa: ignore')\n",
        "import requests; x = f'{1}# capa: ignore'  # a comment\n",
    ],
)
def test_string_that_reads_like_an_ignore_comment_keeps_nothing(rewritten, source):
    assert b"import capa_requests as requests" in rewritten(source).text


def test_ignore_comment_counts_where_comments_may_be_strings():
    file = SetupFile("setup.py", b"x = (\ny = 1  # capa: ignore\nz = '# capa: ignore'\n")

    assert [False, True, True] == [file.ignores(line, "imports") for line in (1, 2, 3)]


def test_ignore_comment_keeps_findings_of_a_statement_away(rewritten):
    assert [] == rewritten("from requests import (\n    packages,\n)  # capa: ignore\n").messages


@pytest.mark.parametrize(
    ("listed", "reported"),
    [
        ("import", [("import", "write `imports`")]),
        ("imports, xyz ,strings", [("xyz", "`capa migrate check --list-rules` shows all")]),
        ("imports,strings,requests-timeout", []),
    ],
)
def test_ignore_comment_of_no_rule_is_reported(rewritten, listed, reported):
    outcome = rewritten(f"import os\nimport requests  # capa: ignore[{listed}]\n").outcome

    assert [
        (2, f"there is no rule `{name}`, so the comment has no effect", step) for name, step in reported
    ] == [(finding.line, finding.message, finding.next_step) for finding in outcome.findings]


@pytest.mark.parametrize(
    "source",
    [
        "x = '# capa: ignore[import]'\nimport requests\n",
        "# /// script\n# dependencies = ['requests']\n# ///\nx = '# capa: ignore[import]'\n",
        'import requests\nx = """\n# capa: ignore[import]\n"""\n',
        "import requests\nx = f'{1}# capa: ignore[import]'  # a comment\n",
    ],
)
@pytest.mark.parametrize("path", ["pkg/module.py", "setup.py"])
def test_string_that_reads_like_an_ignore_comment_of_no_rule_is_not_reported(rewritten, path, source):
    assert [] == rewritten(source, path).messages


@pytest.mark.parametrize(
    ("path", "source", "line"),
    [
        ("setup.py", "import requests  #capa:ignore[import]\n", 1),
        ("requirements.txt", "flask\nrequests  # capa: ignore[import]\n", 2),
        ("a.py", "import requests  # capa: ignore\nimport celery  # capa: ignore[import]\n", 2),
    ],
)
def test_ignore_comment_of_no_rule_is_reported_in_files_of_all_kinds(rewritten, path, source, line):
    (finding,) = rewritten(source, path).outcome.findings

    assert ("ignore", line) == (finding.rule, finding.line)


def test_ignore_comment_of_another_rule_keeps_nothing(rewritten):
    result = rewritten("import requests  # capa: ignore[strings]\n")

    assert b"import capa_requests as requests  # capa: ignore[strings]\n" == result.text


@pytest.mark.parametrize(
    "shadow", ["requests.py", "requests/__init__.py", "src/requests.py", "app/requests.py"]
)
def test_own_module_at_an_import_root_is_not_the_sdk(rewritten, shadow):
    result = rewritten("import requests\n", "app/main.py", {shadow: "", "app/setup.py": ""})

    assert b"import requests\n" == result.text
    assert [f"`requests` is your own module {shadow} here, not the SDK"] == result.messages


def test_module_of_that_name_inside_a_package_is_harmless(rewritten):
    result = rewritten(
        "from celery import Celery\n", "proj/celery.py", {"proj/__init__.py": "", "proj/celery.py": ""}
    )

    assert b"from capa_celery import Celery\n" == result.text


def test_copy_of_the_sdk_in_the_tree_is_left_alone(rewritten):
    files = {"vendor/celery/__init__.py": "", "vendor/celery/app/__init__.py": ""}
    result = rewritten("from celery import states\n", "vendor/celery/app/base.py", files)

    assert (b"from celery import states\n", []) == (result.text, result.messages)


def test_copy_of_an_sdk_may_use_another(rewritten):
    files = {"vendor/celery/__init__.py": ""}
    result = rewritten("import celery\nimport requests\n", "vendor/celery/base.py", files)

    assert b"import celery\nimport capa_requests as requests\n" == result.text
    assert ["this file belongs to a package `celery` of the tree, vendor/celery"] == result.messages


def test_copy_of_the_sdk_below_another_package_is_left_alone(rewritten):
    files = {
        "proj/__init__.py": "",
        **{
            f"proj/vendor/{name}": ""
            for name in ("__init__.py", "requests/__init__.py", "requests/compat/__init__.py")
        },
        **{
            f"proj/vendor/requests/{name}.py": ""
            for name in (
                "adapters",
                "api",
                "auth",
                "certs",
                "cookies",
                "exceptions",
                "help",
                "hooks",
                "models",
            )
        },
        **{
            f"proj/vendor/requests/{name}.py": ""
            for name in ("packages", "sessions", "status_codes", "utils")
        },
    }
    result = rewritten("import requests\n", "proj/vendor/requests/api.py", files)

    assert (b"import requests\n", []) == (result.text, result.messages)


@pytest.mark.parametrize("package", ["capa_requests", "capa_celery", "capa_core"])
def test_capa_itself_is_left_alone_where_it_is_vendored(rewritten, package):
    files = {"proj/__init__.py": "", f"proj/{package}/__init__.py": "", f"proj/{package}/a/__init__.py": ""}
    result = rewritten("import requests\nimport celery\n", f"proj/{package}/a/b.py", files)

    assert b"import requests\nimport celery\n" == result.text
    assert [f"this file belongs to Capa itself, proj/{package}"] * 2 == result.messages


def test_package_below_another_is_no_copy_of_the_sdk(rewritten):
    files = {"proj/__init__.py": "", "proj/celery/__init__.py": ""}

    assert (
        b"import capa_requests as requests\n"
        == rewritten("import requests\n", "proj/celery/a.py", files).text
    )


def test_script_finds_the_module_beside_it(rewritten):
    result = rewritten("import celery\n", "scripts/run.py", {"scripts/celery.py": ""})

    assert b"import celery\n" == result.text


def test_frequent_name_needs_a_manifest(rewritten):
    result = rewritten("from pyapollo import ApolloClient\n")

    assert b"from pyapollo import ApolloClient\n" == result.text
    assert [
        "`pyapollo` is a frequent name, and no manifest names apollo-client or pyapollo"
    ] == result.messages


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("requirements.txt", "Apollo_Client==2.1\n"),
        ("requirements/base.txt", "apollo.client\n"),
        ("pyproject.toml", '[project]\ndependencies = ["apollo-client>=2"]\n'),
        ("setup.py", "setup(install_requires=['apollo-client'])\n"),
        ("requirements.txt", "git+https://x/y/apollo-client.git@v2#egg=apollo-client\n"),
        ("requirements.txt", "-e git+ssh://git@x/y/apollo-client.git\n"),
    ],
)
def test_frequent_name_with_a_manifest_moves(rewritten, manifest, text):
    result = rewritten("from pyapollo import ApolloClient\n", files={manifest: text})

    assert b"from capa_apollo.pyapollo import ApolloClient\n" == result.text


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ("requirements.txt", "# apollo-client, once\nflask  # not apollo-client\n"),
        ("setup.cfg", "; apollo-client\n[options]\n"),
        ("pyproject.toml", "[project]\ndependencies = [# 'apollo-client'\n]\n"),
    ],
)
def test_comment_of_a_manifest_is_no_evidence(rewritten, manifest, text):
    result = rewritten("import pyapollo\n", files={manifest: text})

    assert b"import pyapollo\n" == result.text


def test_distribution_is_evidence_for_its_own_roots_only(rewritten):
    files = {"requirements.txt": "apollo-client\n"}

    result = rewritten("import pyapollo\nfrom apollo_client import ApolloClient\n", files=files)

    assert b"import capa_apollo.pyapollo as pyapollo\nfrom apollo_client import ApolloClient\n" == result.text
    assert [
        "`apollo_client` is a frequent name, and no manifest names apollo-client-python"
    ] == result.messages


def test_manifest_in_utf_16_is_evidence(names, tmp_path):
    (tmp_path / "requirements.txt").write_bytes("apollo-client\n".encode("utf-16"))

    assert None is Project(str(tmp_path), names, ["requirements.txt"]).refusal("pyapollo", "m.py")


def test_manifest_of_another_project_is_no_evidence(rewritten):
    result = rewritten("import pyapollo\n", "a/main.py", {"b/requirements.txt": "apollo-client\n"})

    assert b"import pyapollo\n" == result.text


def test_frequent_name_that_is_also_an_own_module_stays(rewritten):
    files = {"requirements.txt": "apollo-client\n", "libs/apollo_client.py": ""}

    result = rewritten("from apollo_client import ApolloClient\n", files=files)

    assert b"from apollo_client import ApolloClient\n" == result.text
    assert ["`apollo_client` is also your own module libs/apollo_client.py"] == result.messages


def test_distribution_with_a_longer_name_is_no_evidence(rewritten):
    result = rewritten("import pyapollo\n", files={"requirements.txt": "apollo-client3\nmy-apollo-client\n"})

    assert b"import pyapollo\n" == result.text
