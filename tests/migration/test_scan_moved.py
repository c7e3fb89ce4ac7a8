"""What has moved is counted under its old name, so that a migration can be seen to go forward."""

import json

import pytest


@pytest.fixture
def scan(capa, tmp_path):
    """Return what a scan finds in one file: (sites, moved), each as `name(arguments): support`."""

    def run(source):
        (tmp_path / "a.py").write_text(source)
        data = json.loads(capa("scan", tmp_path, "--json").out)
        return tuple(
            [f"{site['name']}({','.join(site['arguments'])}): {site['support']}" for site in data[part]]
            for part in ("sites", "moved")
        )

    return run


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import capa_requests as requests\nrequests.get(u)\n", ["requests(): full", "requests.get(*): full"]),
        ("from capa_requests import get\nget(u, proxies=p)\n",
         ["requests.get(): full", "requests.get(*,proxies): partial"]),
        ("import capa_requests as r\ns = r.Session()\ns.get(u)\n",
         ["requests(): full", "requests.Session(): full", "requests.Session().get(*): full"]),
        ("from capa_celery import shared_task\n@shared_task\ndef f(): ...\nf.delay()\n",
         ["celery.shared_task(): full", "celery.shared_task(): full", "celery.Task().delay(): full"]),
    ],
)  # fmt: skip
def test_moved_call_sites_are_told_under_their_old_names(scan, source, expected):
    assert ([], expected) == scan(source)


def test_a_name_of_an_adapters_own_is_no_moved_call_site(scan):
    assert ([], []) == scan("from capa_apollo import cloud_config\n@cloud_config\nclass A: ...\n")


def test_both_worlds_are_told_apart_in_one_file(scan):
    sites, moved = scan("import requests\nimport capa_requests\nrequests.get(u)\ncapa_requests.post(u)\n")

    assert ["requests(): full", "requests.get(*): full"] == sites
    assert ["requests(): full", "requests.post(*): full"] == moved


def test_applying_moves_every_served_call_site(capa, project):
    before = json.loads(capa("scan", project, "--json").out)
    capa("migrate", "apply", project)
    after = json.loads(capa("scan", project, "--json").out)

    assert ([], []) == (before["moved"], after["sites"])
    assert before["sites"] == after["moved"]
