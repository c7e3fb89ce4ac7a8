"""The report page, without a browser: its contents, its size, and the escaping of hostile texts."""

import base64
import hashlib
import json
import os
import random
import re
import zlib

import pytest

from capa_codemods.findings import Edit, Outcome
from capa_core.installing import NOT_ON_AN_INDEX
from capa_migration.rewrite.page import LARGEST_BYTES
from capa_migration.rewrite.page.abilities import _engines, needs
from capa_migration.rewrite.page.changes import Changes
from capa_migration.rewrite.page.packing import packed_lines
from capa_migration.rewrite.page.shapes import fitting, shapes
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.scan.sites import Site, Survey
from capa_migration.rewrite.scan.survey import known_maps


def unpacked(html, name):
    packed = re.search(rf'id="{name}-data">([^<]*)<', html)[1]
    return zlib.decompress(base64.b64decode(packed)).decode()


def report_of(html):
    return json.loads(unpacked(html, "report"))


def changes_of(html):
    return [json.loads(line) for line in unpacked(html, "changes").splitlines()]


@pytest.fixture
def page(capa, project):
    """Return a function that writes the page of the project again."""

    def make():
        capa("report", project)
        return (project / ".capa-migrate/report.html").read_text()

    return make


def test_the_numbers_add_up(page):
    numbers = report_of(page())["numbers"]

    assert {"sites": 6, "movable": 6, "moved": 0, "staying": 0, "files": 3} == {
        key: numbers[key] for key in ("sites", "movable", "moved", "staying", "files")
    }
    assert (3, 3, 0, 0) == tuple(numbers[key] for key in ("proven", "ready", "written", "failed"))


def test_the_page_is_for_its_user_alone(page, project):
    page()

    assert 0o600 == (project / ".capa-migrate/report.html").stat().st_mode & 0o777


def test_line_of_an_sdk_counts_moved_call_sites_too(page, capa, project):
    def requests():
        return next(line for line in report_of(page())["sdks"] if line["sdk"] == "requests")

    before = requests()
    capa("migrate", "apply", project)

    assert (2, 1, 3, 4, 0) == tuple(before[key] for key in ("files", "imports", "calls", "full", "moved"))
    assert {**before, "full": 0, "moved": 4} == requests()


def test_call_that_is_not_served_counts_as_such_after_it_has_moved(page, capa, project):
    (project / "app/vendored.py").write_text("import requests\n\nrequests.packages.urllib3\n")
    before = report_of(page())
    capa("migrate", "apply", project)
    after = report_of(page())

    assert [(1, 0), (1, 7)] == [
        (one["numbers"]["staying"], one["numbers"]["moved"]) for one in (before, after)
    ]
    assert [1, 1] == [
        next(line["none"] for line in one["sdks"] if line["sdk"] == "requests") for one in (before, after)
    ]
    assert 1 == after["history"][-1]["staying"]


def test_applied_changes_stay_on_the_page(page, capa, project):
    before = changes_of(page())
    capa("migrate", "apply", project)
    after = changes_of(page())

    assert {"ready"} == {file["state"] for file in before}
    assert [{**file, "state": "written"} for file in before] == after


def test_it_says_where_pip_finds_the_requirement_before_the_rewrite_and_after_it(page, capa, project):
    (project / "requirements.txt").write_text("requests\n")
    before = report_of(page())["install"]
    capa("migrate", "apply", project)

    assert [NOT_ON_AN_INDEX] * 2 == [before, report_of(page())["install"]]


def test_a_file_carries_its_proof(page, project):
    (file,) = (one for one in changes_of(page()) if one["path"] == "app/api.py")
    before = (project / "app/api.py").read_bytes()
    after = before.replace(b"import requests", b"import capa_requests as requests")

    assert [hashlib.sha256(data).hexdigest() for data in (before, after)] == [file["before"], file["after"]]
    assert (["imports"], 1) == (file["rules"], file["edits"])
    assert "-import requests\n+import capa_requests as requests\n" in file["diff"]


def test_only_scripts_that_the_policy_names_can_run(page):
    html = page()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]

    assert policy.startswith("default-src 'none';")
    assert 2 == len(digests)
    assert all(f"'sha256-{digest}'" in policy for digest in digests)


def test_it_refers_to_nothing_outside(page):
    found = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]*)""", page())

    assert {"#", "d"} == {address[:1] for address in found}  # places of the page itself, and the empty icon
    assert "//" not in re.sub(r"https?://www\.w3\.org/2000/svg", "", " ".join(found))


def test_hostile_names_and_code_stay_inside_the_data(page, project):
    name = "</script><script>alert(1)</script>"
    (project / "app" / f"{name.replace('/', '')}.py").write_text(f'import requests\n\nx = "{name}"\n')
    html = page()

    assert "alert(1)" not in html
    assert any(name in file["diff"] for file in changes_of(html))


def test_a_name_that_is_no_text_can_be_shown(page, project):
    (project / "app" / os.fsdecode(b"caf\xe9.py")).write_text("import requests\n")

    assert "app/caf\udce9.py" in [file["path"] for file in changes_of(page())]


def test_five_thousand_changed_files_fit_in_a_page(tmp_path):
    """Even if no two of them are alike; the counts include those left out."""
    chance = random.Random(3)
    outcomes = []
    for number in range(5_000):
        words = " ".join(f"{chance.getrandbits(64):x}" for _ in range(30))
        (tmp_path / f"m{number}.py").write_text(f"# {words}\nimport requests\n")
        data = (tmp_path / f"m{number}.py").read_bytes()
        edit = Edit(len(data) - 9, len(data) - 1, b"capa_requests", "imports")
        digests = (hashlib.sha256(data).hexdigest(), hashlib.sha256(data + b"x").hexdigest())
        outcomes.append(Outcome(f"m{number}.py", "changed", (edit,), digests=digests))
    room = LARGEST_BYTES - 300_000
    packed = Changes.of(Plan(str(tmp_path), 5_000, outcomes)).packed(room)
    files = [json.loads(line) for line in zlib.decompress(base64.b64decode(packed)).splitlines()]

    assert 0.8 * room < len(packed) < room + 100_000
    assert 5_000 == len(files)
    assert 1_000 < sum("diff" in file for file in files) < 5_000


def test_a_shape_with_very_many_places_lists_some_and_counts_all():
    sites = [Site("a.py", line, "requests", "call", "requests.get", (), "full") for line in range(1_200)]
    (row,) = fitting(shapes(Survey("/", 1, tuple(sites), ())))

    assert (1_200, 1_000) == (row["count"], len(row["places"]))


def test_an_sdk_of_very_many_shapes_leaves_room_for_the_others():
    many = [Site("a.py", 1, "boto3", "call", f"boto3.f{n}", (), "none") for n in range(45_000)]
    few = [Site("a.py", 1, "requests", "call", f"requests.f{n}", (), "full") for n in range(10)]

    kept = fitting(shapes(Survey("/", 1, (*many, *few), ())))

    assert (5_000, 10) == (len(kept), sum(row["sdk"] == "requests" for row in kept))
    assert all(row["places"] for row in kept)
    assert ["none", "full"] == [kept[0]["support"], kept[-1]["support"]]


def test_very_many_places_of_one_sdk_leave_room_for_those_of_another():
    many = [Site("a.py", n, "boto3", "call", f"boto3.f{n % 50}", (), "none") for n in range(50_000)]
    one = Site("a.py", 1, "requests", "call", "requests.get", (), "full")

    kept = fitting(shapes(Survey("/", 1, (*many, one), ())))

    assert [["a.py", 1]] == kept[-1]["places"]


def test_without_room_nothing_is_packed():
    assert b"" == zlib.decompress(base64.b64decode(packed_lines([], 0)))


def test_every_ability_that_an_import_map_asks_for_is_there():
    def labels(block):
        return {feature.label for engine in _engines(block) for feature in engine.features or ()}

    asked = {ability for one in known_maps() for ability in one.needs}

    assert set() == {
        ability for ability in asked if ability.split(".")[1] not in labels(ability.split(".")[0])
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from celery import Celery\na = Celery()\n@a.task\ndef f(): ...\nf.delay()\n", None),
        (
            "from celery import Celery\na = Celery()\n@a.task\ndef f(): ...\nf.apply_async(countdown=1)\n",
            "delay",
        ),
        (
            "from celery import Celery\na = Celery()\n@a.task\ndef f(): ...\nf.apply_async(priority=1)\n",
            "priority",
        ),
    ],
)
def test_abilities_are_those_that_the_shapes_ask_for(tmp_path, source, expected):
    from capa_migration.rewrite.scan.survey import survey
    from capa_migration.rewrite.target import Options

    (tmp_path / "tasks.py").write_text(source)
    asked = needs(survey(str(tmp_path), Options()), known_maps())["pubsub"]

    assert {"groups", "lease", "shared", "nack_delay"} | ({expected} if expected else set()) == set(asked)


def test_each_needed_ability_has_a_word_for_each_engine(page):
    (block,) = (one for one in report_of(page())["abilities"] if one["block"] == "invocation")
    names = [engine["name"] for engine in block["engines"]]
    deadline = next(row for row in block["rows"] if row["label"] == "deadline")
    how = dict(zip(names, (cell["how"] for cell in deadline["cells"]), strict=True))

    assert ("native", "absent") == (how["http"], how["memory"])
    assert {"label", "level", "meaning", "asking", "cells"} == set(deadline)


def test_findings_come_gravest_first(page, capa, project):
    (project / "app/old.py").write_text("import requests\nprint 'x'\n")
    (project / "Procfile").write_text("worker: celery -A app.tasks worker\n")
    (project / "requirements-dev.txt").write_text("responses\n")
    (project / ".capa-migrate").mkdir()
    (project / ".capa-migrate/history").write_text("{damaged\n")
    found = [(one["level"], one["id"], one["path"]) for one in report_of(page())["findings"]]

    assert ("error", "unreadable", "app/old.py") == found[0]
    assert ("note", "commands", "Procfile") in found
    assert ("note", "history", ".capa-migrate/history") in found
    assert ("note", "library/responses", "requirements-dev.txt") in found


def test_command_prints_the_path_of_the_page(capa, project):
    ran = capa("report", project)

    assert (
        0,
        f"{project}/.capa-migrate/report.html: the page is written. Next: open it in a browser.\n",
    ) == (
        ran.code,
        ran.out,
    )


def test_the_page_is_written_to_the_given_file(capa, project, tmp_path):
    capa("report", project, "--output", tmp_path / "page.html")

    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert not (project / ".capa-migrate/report.html").exists()


def test_a_file_that_cannot_be_read_ends_the_command_with_2(capa, project):
    (project / "app/old.py").write_text("import requests\nprint 'x'\n")

    assert 2 == capa("report", project).code


def test_git_does_not_see_the_page(capa, project, git):
    capa("report", project)

    assert "" == git("status", "--porcelain")


@pytest.mark.parametrize("words", [["scan"], ["migrate", "check"], ["migrate", "apply"]])
def test_the_page_is_a_format_of_the_other_commands(capa, project, words):
    assert capa(*words, project, "--format", "html").out.startswith("<!doctype html>")
