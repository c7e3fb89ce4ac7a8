"""Reads of an Apollo client become reads of Capa's own API where that is certainly the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules.native import Native
from capa_codemods.write.splice import splice

SETTINGS = '[configuration.settings]\ndriver = "file"\nlegacy = ["http://APOLLO:8080"]\n'
HEAD = "from capa_apollo.pyapollo.apollo_client import ApolloClient\n"
CLIENT = "client = ApolloClient('shop', 'default', 'http://apollo:8080/')\n"
READ = 'default_runtime().configuration("settings").value'


@pytest.fixture
def native(names, tmp_path):
    (tmp_path / "capa.toml").write_text(SETTINGS)

    def run(text: str, *others: str) -> str:
        rewrite = Rewrite(Project(str(tmp_path), names, ["module.py", *others]), [Native()])
        outcome = rewrite.examine_data("module.py", text.encode())
        after = splice(text.encode(), outcome.edits)
        assert () == outcome.findings
        assert () == rewrite.examine_data("module.py", after).edits
        return after.decode()

    return run


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("client.get_value('a')", f"{READ}('a', application=\"shop\")"),
        ("client.get_value(a, 1)", f'{READ}(a, 1, application="shop")'),
        (
            "client.start()\nclient.get_value(\n    'a',\n    namespace='web',\n    default_val=None,\n)",
            f"client.start()\n{READ}(\n    'a',\n    group='web',\n    default=None,\n    application=\"shop\",\n)",
        ),
    ],
)
def test_read_becomes_one_line_of_capas_own(native, before, after):
    imported = f"{HEAD}from capa_core import default_runtime\n"

    assert f"{imported}{CLIENT}{after}\n" == native(f"{HEAD}{CLIENT}{before}\n")


def test_cluster_becomes_the_label(native):
    text = f"{HEAD}client = ApolloClient(app_id='shop', cluster='east', config_server_url='http://apollo:8080')\n"

    assert native(f"{text}client.get_value('a')\n").endswith(
        f'{READ}(\'a\', application="shop", label="east")\n'
    )


def test_import_that_is_there_is_used(native):
    text = f"{HEAD}from capa_core import default_runtime\n{CLIENT}default_runtime()\nclient.get_value('a')\n"

    assert native(text) == text.replace("client.get_value('a'", f"{READ}('a', application=\"shop\"")


@pytest.mark.parametrize(
    "text",
    [
        f"{HEAD}{CLIENT}client.get_value('a', auto_fetch_on_cache_miss=True)\n",
        f"{HEAD}{CLIENT}client.get_value('a', 'b', 'c')\n",
        f"{HEAD}{CLIENT}client.get_value(*a)\n",
        f"{HEAD}{CLIENT}client.get_value('a', namespace=n)\n",
        f"{HEAD}{CLIENT}client.get_value(a for a in b)\n",
        f"{HEAD}{CLIENT}def f(default_runtime): return client.get_value('a')\n",
        f"{HEAD}{CLIENT}client.get_value('a', namespace='web.json')\n",
        f"{HEAD}{CLIENT}client.get_value('a')\nclient.stop()\n",
        f"{HEAD}{CLIENT}client.get_value('a')\nuse(client)\n",
        f"{HEAD}{CLIENT}client.get_value('a')\nclient = None\n",
        f"{HEAD}{CLIENT}def f(client): return client.get_value('a')\n",
        f"{HEAD}{CLIENT}def f():\n    from other import it as client\n    return client.get_value('a')\n",
        f"{HEAD}{CLIENT}match x:\n    case {{'a': 1, **client}}:\n        client.get_value('a')\n",
        f"{HEAD[:-1]}  # capa: ignore\n{CLIENT}client.get_value('a')\n",
        f"{HEAD}{CLIENT}client.get_value(  # capa: ignore[native]\n    'a',\n    namespace='web',\n)\n",
        f"{HEAD}{CLIENT}client.get_value(\n    'a',\n    namespace='web',  # capa: ignore\n)\n",
        f"{HEAD}{CLIENT}default_runtime = 1\nprint(default_runtime, client.get_value('a'))\n",
        f"{HEAD}client = ApolloClient(APP, 'default', 'http://apollo:8080')\nclient.get_value('a')\n",
        f"{HEAD}client = ApolloClient('shop', 'default', 'http://other')\nclient.get_value('a')\n",
        f"{HEAD}client = ApolloClient('shop', 'default')\nclient.get_value('a')\n",
        f"{HEAD}class Own(ApolloClient): pass\nclient = Own('shop', 'default', 'http://apollo:8080')\nclient.get_value('a')\n",
        f"{HEAD.replace('capa_apollo.', '')}{CLIENT}client.get_value('a')\n",
    ],
)
def test_read_that_may_differ_is_left_alone(native, text):
    assert text == native(text)


def test_profile_with_configuration_of_its_own_leaves_all_alone(native, tmp_path):
    (tmp_path / "capa.toml").write_text(f"{SETTINGS}[profiles.prod.configuration.settings]\npath = 'x'\n")
    text = f"{HEAD}{CLIENT}client.get_value('a')\n"

    assert text == native(text)


def test_client_that_another_file_may_stop_is_left_alone(native, tmp_path):
    (tmp_path / "end.py").write_text("from module import client\nclient.stop()\n")
    text = f"{HEAD}{CLIENT}client.get_value('a')\n"

    assert text == native(text, "end.py")


PROGRAM = f"""\
{HEAD}
client = ApolloClient("shop", "default", "http://apollo:8080")
client.start()


def limit():
    return client.get_value("limit", "10")


print(limit(), client.get_value("none"), client.get_value("none", 5))
print(client.get_value("colour", namespace="web"), client.get_value("colour", default_val="red"))
"""


def test_program_prints_the_same(native, tmp_path):
    for path, text in (("shop/application.properties", "limit=7\n"), ("web.properties", "colour=blue\n")):
        (tmp_path / "config" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / path).write_text(text)
    after = native(PROGRAM)

    assert 5 == after.count(READ)
    assert "7 None 5\nblue red\n" == _printed(PROGRAM, tmp_path) == _printed(after, tmp_path)


def _printed(text: str, folder) -> str:
    (folder / "program.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, capture_output=True, text=True, timeout=50
    )

    assert "" == ran.stderr
    return ran.stdout
