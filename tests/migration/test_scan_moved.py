"""Moved call sites: counted under their old names, so that progress shows."""

import json

import pytest

from capa_migration.rewrite.scan.sites import Site, sums


@pytest.fixture
def scan(capa, tmp_path):
    """Return the results of a scan of one file: (sites, moved), each as `name(arguments): support`."""

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
def test_moved_call_sites_are_listed_under_their_old_names(scan, source, expected):
    assert ([], expected) == scan(source)


def test_import_that_only_keeps_an_old_root_bound_is_not_counted(scan):
    source = "import capa_requests.exceptions, capa_requests as requests\n"

    assert ([], ["requests.exceptions(): full"]) == scan(source)


def test_a_second_name_for_a_root_is_counted(scan):
    source = "import capa_requests.exceptions, capa_requests as r, capa_requests as requests\n"

    assert ([], ["requests(): full", "requests(): full", "requests.exceptions(): full"]) == scan(source)


def test_a_name_of_an_adapters_own_is_no_moved_call_site(scan):
    assert ([], []) == scan("from capa_apollo import cloud_config\n@cloud_config\nclass A: ...\n")


def test_original_and_adapter_are_counted_separately_in_one_file(scan):
    sites, moved = scan("import requests\nimport capa_requests\nrequests.get(u)\ncapa_requests.post(u)\n")

    assert ["requests(): full", "requests.get(*): full"] == sites
    assert ["requests(): full", "requests.post(*): full"] == moved


def test_applying_moves_every_served_call_site(capa, project):
    before = json.loads(capa("scan", project, "--json").out)
    capa("migrate", "apply", project)
    after = json.loads(capa("scan", project, "--json").out)

    assert ([], []) == (before["moved"], after["sites"])
    assert before["sites"] == after["moved"]


def test_moving_changes_no_count(capa, tmp_path):
    (tmp_path / "a.py").write_text(
        "import requests.exceptions, requests\nimport celery.schedules as s, celery.utils.log\n"
    )
    before = json.loads(capa("scan", tmp_path, "--json").out)["sites"]
    capa("migrate", "apply", tmp_path)

    assert before == json.loads(capa("scan", tmp_path, "--json").out)["moved"]


UNSERVED = "import capa_requests\ncapa_requests.get(u)\ncapa_requests.get(u, proxies=p)\n"


def test_moved_call_that_is_not_served_stays_visible(capa, tmp_path):
    (tmp_path / "a.py").write_text(UNSERVED)

    assert (
        "\na.py:\n  3  moved, partial  requests.get(*, proxies=): goes out by the original [partial]\n"
        in capa("scan", tmp_path).out
    )


def test_formats_for_reviews_list_it_too(capa, tmp_path):
    (tmp_path / "a.py").write_text(UNSERVED)

    out = capa("scan", tmp_path, "--format", "github", "--all").out

    assert ["::notice file=a.py,line=3,title=capa%3A partial"] == [
        line.rpartition("::")[0] for line in out.splitlines()
    ]


def test_with_nothing_left_to_move_the_next_step_is_to_keep_it_so(capa, tmp_path):
    (tmp_path / "a.py").write_text("import capa_requests\n")

    assert (
        f"\nNext: `capa migrate check {tmp_path}` in CI reports new uses of the originals.\n"
        in capa("scan", tmp_path).out
    )


def test_with_nothing_that_can_move_no_rewrite_is_offered(capa, tmp_path):
    (tmp_path / "a.py").write_text("import redis\n")

    assert "Next" not in capa("scan", tmp_path).out


def test_a_call_that_moved_without_being_served_counts_as_not_served():
    moved = [
        Site("a.py", 1, "x", "call", "x.f", (), "full"),
        Site("a.py", 2, "x", "call", "x.g", (), "none"),
    ]
    (line,) = sums([], moved)

    assert (0, 0, 1, 1) == (line.full, line.partial, line.none, line.moved)


def test_capa_itself_is_counted_nowhere_as_the_rewrite_leaves_it_alone(capa, tmp_path):
    package = tmp_path / "shop/capa_requests"
    package.mkdir(parents=True)
    (tmp_path / "shop/__init__.py").touch()
    (package / "__init__.py").write_text(
        "import requests\nfrom requests import get\nfrom capa_requests._sdk import SDK\nSDK(get(requests))\n"
    )
    (tmp_path / "shop/api.py").write_text("import requests\nfrom .capa_requests import get\nget(u)\n")
    (tmp_path / "requirements.txt").write_text("requests\n")

    changed = {one["path"] for one in json.loads(capa("migrate", "check", tmp_path, "--json").out)["changes"]}
    counted = json.loads(capa("scan", tmp_path, "--json").out)
    places = [(site["path"], site["name"]) for site in (*counted["sites"], *counted["moved"])]

    assert {"shop/api.py", "requirements.txt"} == changed
    assert [("shop/api.py", "requests")] == places
