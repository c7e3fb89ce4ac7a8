"""`capa scan` of several repositories: one report, with a row for each and a total."""

from __future__ import annotations

import json
import subprocess

import pytest


@pytest.fixture
def repositories(tmp_path):
    """Return two repositories in folders with the same name, and one in another, none of them in a project."""
    found = []
    for name in ("a/shop", "b/shop", "billing"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "pyproject.toml").write_text("")
        (folder / "app.py").write_text("import requests, redis\nrequests.get(1)\n")
        found.append(folder)
    (found[2] / "old.py").write_text("import capa_requests\nimport requests\n")
    return found


def test_each_has_a_row_under_a_name_of_its_own_and_the_last_row_is_their_total(capa, repositories):
    ran = capa("scan", *repositories)

    assert (0, "") == (ran.code, ran.err)
    assert (
        "project  files  imports  calls and uses  full  partial  none  moved\n"
        "a/shop       1        2               1     2        0     1      0\n"
        "b/shop       1        2               1     2        0     1      0\n"
        "billing      2        3               1     3        0     1      1\n"
        "total        4        7               3     7        0     3      1\n"
        f"\nNext: `capa scan {repositories[0]}` lists the SDKs and places of one project.\n"
    ) == ran.out


def test_data_holds_each_survey_and_the_total(capa, repositories):
    data = json.loads(capa("scan", *repositories, "--json").out)
    alone = json.loads(capa("scan", repositories[2], "--json").out)

    assert ["a/shop", "b/shop", "billing"] == [one["name"] for one in data["projects"]]
    assert alone == {"exit": 0, **{key: data["projects"][2][key] for key in alone if key != "exit"}}
    assert {"files": 4, "imports": 7, "calls": 3, "full": 7, "partial": 0, "none": 3, "moved": 1} == data[
        "total"
    ]


def test_file_that_cannot_be_read_is_listed_under_its_project(capa, repositories):
    (repositories[1] / "bad.py").write_text("import requests\nprint 'x'\n")
    ran = capa("scan", *repositories)

    assert 2 == ran.code
    assert "\nb/shop/bad.py:\n  2  failed  not Python" in ran.out


def test_several_paths_of_one_are_one_row(capa, repositories):
    (repositories[0] / "more.py").write_text("import requests\n")
    shop, billing = repositories[0], repositories[2]
    rows = capa("scan", shop / "app.py", billing, shop / "more.py").out.splitlines()

    assert ["project", "shop", "billing", "total", "", "Next:"] == [(row.split() or [""])[0] for row in rows]


def test_path_that_is_named_twice_or_inside_another_counts_once(capa, repositories, tmp_path):
    shop, billing = repositories[0], repositories[2]
    alone = json.loads(capa("scan", shop, "--json").out)
    twice = json.loads(capa("scan", shop, shop / "../shop", "--json").out)
    several = json.loads(capa("scan", shop, billing, shop / "app.py", shop, "--json").out)

    assert alone == twice
    assert (["shop", "billing"], 5) == (
        [one["name"] for one in several["projects"]],
        several["total"]["imports"],
    )
    assert capa("scan", tmp_path, "--json") == capa("scan", tmp_path, shop, billing / "app.py", "--json")


def test_repository_inside_another_path_is_scanned_beside_it(capa, repositories, tmp_path):
    for folder in (tmp_path / "a", repositories[0]):
        subprocess.run(["git", "init", "-q", folder], check=True)
    (tmp_path / "a/own.py").write_text("import requests\n")
    found = json.loads(capa("scan", tmp_path / "a", repositories[0], repositories[2], "--json").out)

    assert [1, 1, 2] == [one["seen"] for one in found["projects"]]


@pytest.mark.parametrize("form", ["sarif", "html", "markdown", "github"])
def test_format_for_one_project_is_refused(capa, repositories, form):
    ran = capa("scan", *repositories, "--format", form)

    assert (3, "") == (ran.code, ran.out)
    assert f"--format {form} is for one project: scan each of them alone, or use text or json" in ran.err


def test_each_gets_a_history_of_its_own(capa, repositories):
    capa("scan", *repositories)

    assert all((one / ".capa-migrate/history").exists() for one in repositories)
