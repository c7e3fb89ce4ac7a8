"""Imports that look like an Apollo client without evidence: told as uncertain, and certain with `--sdk`."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

CLIENT = 'from pyapollo.apollo_client import ApolloClient\n\nApolloClient(app_id="shop", config_server_url="http://a")\n'
MOVED = "from capa_apollo.pyapollo.apollo_client import ApolloClient\n"


@pytest.fixture
def shop(capa, adapters_maps, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/app.py").write_text(CLIENT)
    return tmp_path / "shop"


def test_a_scan_lists_it_as_uncertain_with_the_switch(capa, shop):
    ran, data = capa("scan", shop), json.loads(capa("scan", shop, "--json").out)

    assert (
        "app.py:\n  1  uncertain  pyapollo.apollo_client: `pyapollo` is a frequent name, and no manifest "
        in ran.out
    )
    assert "run again with --sdk pyapollo. [uncertain]\n" in ran.out
    assert [("app.py", 1, "pyapollo.apollo_client")] == [
        (one["path"], one["line"], one["name"]) for one in data["uncertain"]
    ]


def test_a_scan_that_recalls_its_results_lists_it_too(capa, shop):
    first, second = capa("scan", shop), capa("scan", shop)

    assert first.out == second.out


@pytest.mark.parametrize("form", ["sarif", "github", "markdown"])
def test_the_other_formats_carry_it(capa, shop, form):
    assert "pyapollo is a frequent name" in capa("scan", shop, "--format", form).out.replace("`", "")


def test_check_warns_of_it(capa, shop):
    ran = capa("migrate", "check", shop)

    assert (
        "app.py:1: warning: `pyapollo.apollo_client` is not certain: `pyapollo` is a frequent name" in ran.out
    )
    assert 0 == ran.code


@pytest.mark.parametrize("source", ["import apollo\n", "import apollo.moon\n", "from apollo import moon\n"])
def test_a_frequent_name_alone_is_no_sdk(capa, shop, source):
    (shop / "app.py").write_text(source)

    assert "no SDK is used in 1 file of Python\n" == capa("scan", shop).out
    assert "warning" not in capa("migrate", "check", shop).out


def test_the_switch_makes_it_certain(capa, shop):
    found = json.loads(capa("scan", shop, "--sdk", "pyapollo", "--json").out)
    capa("migrate", "apply", shop, "--sdk", "pyapollo")

    assert ([], {"apollo"}) == (found["uncertain"], {site["sdk"] for site in found["sites"]})
    assert (shop / "app.py").read_text().startswith(MOVED)


def test_pyproject_keeps_the_choice(capa, shop):
    (shop / "pyproject.toml").write_text('[tool.capa.migrate]\nsdk = ["pyapollo"]\n')
    capa("migrate", "apply", shop)

    assert (shop / "app.py").read_text().startswith(MOVED)
    assert [] == json.loads(capa("scan", shop, "--json").out)["uncertain"]


@pytest.mark.parametrize("command", [["scan"], ["migrate", "check"]])
def test_an_unknown_name_is_wrong_usage(capa, shop, command):
    ran = capa(*command, shop, "--sdk", "pyapolo")

    assert 3 == ran.code
    assert "--sdk pyapolo: no SDK is imported by that name: choose from pyapollo, " in ran.err


def test_a_manifest_that_names_it_leaves_nothing_uncertain(capa, shop):
    (shop / "requirements.txt").write_text("pyapollo\n")

    assert [] == json.loads(capa("scan", shop, "--json").out)["uncertain"]


def _trial(shop, *words):
    """Run `capa run` on the application, in a process that it can become."""
    code = "import sys; from capa_migration.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "run", "--root", str(shop), *words, "--", "python", "app.py"]
    return subprocess.run(command, cwd=shop, capture_output=True, text=True, check=False, timeout=50)


def test_a_trial_names_the_module_and_the_reason(shop):
    said = _trial(shop).stderr

    assert 1 == said.count(
        "capa run: pyapollo.apollo_client is not redirected: `pyapollo` is a frequent name"
    )
    assert "--sdk pyapollo" in said


def test_a_trial_with_the_switch_redirects_it(shop):
    (shop / "app.py").write_text(MOVED.replace("capa_apollo.", "") + "print(ApolloClient.__module__)\n")

    assert "capa_apollo.pyapollo.apollo_client\n" == _trial(shop, "--sdk", "pyapollo").stdout
