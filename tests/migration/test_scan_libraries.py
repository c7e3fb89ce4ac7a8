"""The libraries around the SDKs that a project uses, and the effect of the rewrite on each."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from capa_migration.rewrite.scan.libraries import libraries
from capa_migration.rewrite.scan.survey import known_maps

USES = "import requests\nimport celery\nrequests.get('x')\ncelery.group()\n"


@pytest.fixture
def found(capa, tmp_path):
    """Return the libraries that a tree uses: (name, verdict, places)."""

    def run(**files: str) -> list[tuple[str, str, list[str]]]:
        for name, text in {"app.py": USES, **files}.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        listed = json.loads(capa("scan", tmp_path, "--format", "json").out)["companions"]
        return [
            (one["name"], one["verdict"], [f"{place['path']}:{place['line']}" for place in one["places"]])
            for one in listed
        ]

    return run


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("test_a.py", "import os\nimport responses\n", ("responses", "works", ["test_a.py:2"])),
        ("test_a.py", "import os, vcr as v, sys  # for tests\n", ("vcrpy", "works", ["test_a.py:1"])),
        (
            "test_a.py",
            "def t():\n    from requests_mock import Mocker\n",
            ("requests-mock", "works", ["test_a.py:2"]),
        ),
        ("a.py", "from redbeat.schedulers import X\n", ("celery-redbeat", "works", ["a.py:1"])),
        (
            "a.py",
            "from opentelemetry.instrumentation.celery import X\n",
            ("opentelemetry-instrumentation-celery", "works", ["a.py:1"]),
        ),
        (
            "settings.py",
            "INSTALLED_APPS = [\n    'django_celery_beat',\n]\n",
            ("django-celery-beat", "works", ["settings.py:2"]),
        ),
        ("requirements.txt", "# dev\nFlower==2\n", ("flower", "limits", ["requirements.txt:2"])),
        ("setup.cfg", "[options]\ninstall_requires =\n  vcrpy\n", ("vcrpy", "works", ["setup.cfg:3"])),
        (
            "pyproject.toml",
            "[project]\ndependencies = ['ddtrace>=4']\n",
            ("ddtrace", "limits", ["pyproject.toml:2"]),
        ),
    ],
)
def test_library_is_listed_with_its_place(found, path, text, expected):
    assert [expected] == found(**{path: text})


@pytest.mark.parametrize(
    "files",
    [
        {"responses.py": "", "a.py": "import responses\n"},
        {"a.py": "from app import responses\nimport responses_x\n"},
        {"requirements.txt": "flower-x\nmy-flower\n# flower\n"},
        {"a.py": "import moto\n"},
        {"setup.py": "setup(name='responses')\n", "responses/__init__.py": ""},
    ],
)
def test_lookalike_or_library_of_an_unused_sdk_is_not_listed(found, files):
    assert [] == found(**files)


def test_library_of_an_sdk_that_is_not_moved_is_untouched(found):
    (listed,) = found(**{"b.py": "import boto3\nboto3.client('s3')\n", "t.py": "import moto\n"})

    assert ("moto", "untouched", ["t.py:1"]) == listed


@pytest.mark.parametrize(
    ("uses", "expected"),
    [
        ("import redis\nredis.Redis()\n", []),
        ("import celery\ncelery.group()\n", ["gevent"]),
        ("import requests\nrequests.get('x')\n", ["freezegun", "gevent"]),
    ],
)
def test_library_of_the_whole_process_is_listed_where_an_sdk_of_its_verdict_is_used(found, uses, expected):
    listed = found(**{"app.py": uses, "t.py": "import gevent\nimport freezegun\n"})

    assert expected == [name for name, _, _ in listed]


def test_places_of_one_library_are_gathered(found):
    (listed,) = found(
        **{"a.py": "import responses\n", "requirements-dev.txt": "responses\n", "b.py": "import vcrx\n"}
    )

    assert ("responses", "works", ["a.py:1", "requirements-dev.txt:1"]) == listed


def test_text_names_the_effect_of_the_rewrite(capa, project):
    (project / "tests/test_more.py").write_text("import responses\n")

    assert (
        "libraries around the SDKs, after the rewrite:\n"
        "tests/test_more.py:1: responses (mock): works: while it is active, calls go through the original"
    ) in capa("scan", project).out


def test_verdict_works_needs_a_version_that_was_run():
    claimed = [one for one in libraries() if one.verdict in {"works", "limits"}]

    assert [] == [one.name for one in claimed if not one.tried]


def test_each_library_belongs_to_a_known_sdk_and_is_listed_once():
    names = [one.name for one in libraries()]

    assert sorted(set(names)) == sorted(names)
    known = {one.name for one in known_maps()}
    assert {one.sdk for one in libraries()} <= {"everywhere", *known}
    assert {sdk for one in libraries() for sdk in one.concerns} <= known


@pytest.mark.parametrize("name", ["responses", "requests-mock"])
def test_tests_run_at_least_the_tried_versions(name):
    (one,) = (one for one in libraries() if one.name == name)
    steps_aside = Path(__file__).parents[1] / "adapters/requests/test_requests_step_aside.py"

    assert f"import {one.modules[0]}\n" in steps_aside.read_text()
    assert [int(part) for part in one.tried.split(".")] <= [int(part) for part in version(name).split(".")]
