# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""`capa scan`: SDKs, shapes, counts, and the reasons for unserved calls."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import requests\nrequests.get(u, timeout=3)\n", [(2, "call", "requests.get(*,timeout)")]),
        ("import requests as r\nr.get(*a, **k)\n", [(2, "call", "requests.get(*,**)")]),
        ("from requests import get as g\ng()\n", [(2, "call", "requests.get()")]),
        ("import requests.exceptions\nrequests.exceptions.Timeout\n", [(2, "use", "requests.exceptions.Timeout()")]),
        ("import requests\nrequests.get(u).json()\n", [(2, "call", "requests.get(*)"), (2, "call", "requests.get().json()")]),
        ("import requests\ns = requests.Session()\ns.get(u)\n",
         [(2, "call", "requests.Session()"), (3, "call", "requests.Session().get(*)")]),
        ("import requests\nwith requests.Session() as s:\n    s.get(u)\n",
         [(2, "call", "requests.Session()"), (3, "call", "requests.Session().get(*)")]),
        ("import requests\ndef f(s: requests.Session):\n    s.get(u)\n",
         [(2, "use", "requests.Session()"), (3, "call", "requests.Session().get(*)")]),
        ("import requests\ndef f(s: 'requests.Session | None'):\n    s.close()\n",
         [(3, "call", "requests.Session().close()")]),
        (("import requests\nclass A:\n    def go(self):\n        self.s.get(u)\n"
         "    def __init__(self):\n        self.s = requests.Session()\n"),
         [(4, "call", "requests.Session().get(*)"), (6, "call", "requests.Session()")]),
        ("from celery import Celery\napp = Celery()\n@app.task\ndef f(): ...\nf.delay(1)\n",
         [(2, "call", "celery.Celery()"), (3, "use", "celery.Celery().task()"), (5, "call", "celery.Task().delay(*)")]),
        ("from celery import shared_task\n@shared_task(bind=True)\ndef f(self): ...\nf.s(1).apply_async()\n",
         [(2, "call", "celery.shared_task(bind)"), (4, "call", "celery.Task().s(*)"),
          (4, "call", "celery.Task().s().apply_async()")]),
        ("import requests\ndef f(requests):\n    requests.get()\n", []),
        ("import requests\nrequests = 3\nrequests.get()\n", []),
        ("task.requests.get()\n", []),
    ],
)  # fmt: skip
def test_shapes_are_followed_within_a_file(shapes, source, expected):
    assert expected == shapes(source)


def test_support_comes_from_the_import_maps_with_reason_and_link(capa, tmp_path):
    (tmp_path / "a.py").write_text(
        "import requests, redis, requests.foo\n"
        "requests.get(u, proxies=p)\n"
        "requests.get(u)\n"
        "requests.packages.urllib3\n"
        "redis.Redis()\n"
    )

    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]
    listed = [(site["line"], site["name"], site["support"], site["reason"], site["see"]) for site in sites]

    assert [
        (1, "redis", "none", "there is no capa_redis yet", ""),
        (1, "requests", "full", "", ""),
        (1, "requests.foo", "none", "capa_requests does not list requests.foo", ""),
        (2, "requests.get", "partial", "goes out by the original", ""),
        (3, "requests.get", "full", "", ""),
        (4, "requests.packages.urllib3", "none", "vendored libraries are the original's own",
         "docs/differences/requests.md#names"),
        (5, "redis.Redis", "none", "there is no capa_redis yet", ""),
    ] == listed  # fmt: skip


def test_module_that_the_adapter_does_not_have_is_not_served(capa, tmp_path):
    (tmp_path / "a.py").write_text("from celery import chain, security\nsecurity.setup_security()\n")

    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]
    none = {site["name"]: site["reason"] for site in sites if site["support"] == "none"}

    assert {
        "celery.security": "capa_celery does not list celery.security",
        "celery.security.setup_security": "capa_celery does not list celery.security.setup_security",
    } == none


def test_table_counts_by_sdk(capa, project):
    ran = capa("scan", project)

    assert 0 == ran.code
    assert "SDK       files  imports  calls and uses  full  partial  none  moved\n" in ran.out
    assert "requests      2        1               3     4        0     0      0\n" in ran.out
    assert "celery        1        1               1     2        0     0      0\n" in ran.out
    assert f"Next: `capa migrate diff {project}`" in ran.out


def test_unserved_call_is_listed_with_its_place(capa, project):
    (project / "app/cache.py").write_text("import redis\n\nredis.Redis(host='x', port=1)\n")

    assert (
        "\napp/cache.py:\n"
        "  1  none  import of redis: there is no capa_redis yet [unserved]\n"
        "  3  none  redis.Redis(host=, port=): there is no capa_redis yet [unserved]\n"
    ) in capa("scan", project).out


def test_every_place_is_listed_on_request(capa, project):
    assert "  5  full  requests.get(*)\n" in capa("scan", project, "--all").out
    assert "app/api.py:" not in capa("scan", project).out


def test_file_that_cannot_be_read_is_listed(capa, project):
    (project / "app/old.py").write_text("import requests\nprint 'x'\n")

    ran = capa("scan", project)

    assert 2 == ran.code
    assert "\napp/old.py:\n  2  failed  not Python" in ran.out
    assert "; 1 file could not be read in full." in ran.out
    assert "it looks like Python 2" in ran.out


def test_syntax_that_no_one_knows_yet_is_not_passed_over(capa, tmp_path):
    (tmp_path / "a.py").write_text("eager import requests\n")

    ran = capa("scan", tmp_path)
    checked = capa("migrate", "check", tmp_path)

    assert (2, 2) == (ran.code, checked.code)
    assert ran.out.startswith("a.py:\n  1  failed  not Python")
    assert "a.py:1: failed: not Python" in checked.out


def test_file_that_is_newer_than_this_python_is_counted(capa, tmp_path):
    (tmp_path / "a.py").write_text("import requests\ndef f[T]():\n    print(f'{requests.get(t['u'])}')\n")
    (tmp_path / "b.py").write_text(
        "import requests\ntype S = requests.Session\nsession = requests.Session()\n"
    )
    (tmp_path / "c.py").write_text("from b import session\nsession.put(u)\n")
    (tmp_path / "d.py").write_text(
        "lazy import requests\ntry:\n    requests.put(u)\nexcept A, B:\n    pass\n"
    )

    data = json.loads(capa("scan", tmp_path, "--json").out)

    assert [] == data["unread"]
    assert [
        ("a.py", 3, "requests.get"),
        ("b.py", 3, "requests.Session"),
        ("c.py", 2, "requests.Session().put"),
        ("d.py", 3, "requests.put"),
    ] == [(site["path"], site["line"], site["name"]) for site in data["sites"] if site["kind"] == "call"]


def test_tree_without_an_sdk_is_reported_as_such(capa, tmp_path):
    (tmp_path / "a.py").write_text("import os\n")

    assert (0, "no SDK is used in 1 file of Python\n", "") == capa("scan", tmp_path)


def test_own_modules_and_frequent_names_are_not_counted(capa, tmp_path):
    (tmp_path / "requests.py").write_text("")
    (tmp_path / "a.py").write_text("import requests, pyapollo\nrequests.get()\npyapollo.ApolloClient()\n")

    assert 0 == len(json.loads(capa("scan", tmp_path, "--json").out)["sites"])


def test_object_that_an_sdk_gives_out_but_does_not_own_is_not_counted(capa, tmp_path):
    source = "from celery.utils.log import get_task_logger\nlog = get_task_logger(__name__)\nlog.info('x')\n"
    (tmp_path / "a.py").write_text(source)

    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]

    assert {"celery.utils.log.get_task_logger"} == {site["name"] for site in sites}


def test_every_known_sdk_has_a_map_that_is_right():
    from capa_migration.rewrite.scan.survey import known_maps

    roots = {root for one in known_maps() for root in one.roots}

    assert {"redis", "pika", "kazoo", "boto3", "botocore"} <= roots


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from proj.tasks import add\nadd.delay(1)\n", "celery.Task().delay"),
        ("from .tasks import add as a\na.apply_async()\n", "celery.Task().apply_async"),
        ("from . import tasks\ntasks.add.delay(1)\n", "celery.Task().delay"),
        ("from proj import tasks as t\nt.add.s(2)\n", "celery.Task().s"),
        ("from proj.celery import app\napp.send_task('x')\n", "celery.Celery().send_task"),
        ("from proj.tasks import http\nhttp.get('x')\n", "requests.Session().get"),
    ],
)
def test_objects_are_followed_from_file_to_file(capa, tmp_path, source, expected):
    package = tmp_path / "proj"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "celery.py").write_text("from celery import Celery\napp = Celery()\n")
    (package / "tasks.py").write_text(
        "import requests\nfrom proj.celery import app\nfrom proj import user\nhttp = requests.Session()\n@app.task\ndef add(x): ...\n"
    )
    (package / "user.py").write_text(source)

    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]

    assert [expected] == [site["name"] for site in sites if site["path"] == "proj/user.py"]


def test_names_of_other_modules_do_not_count_as_an_sdk(capa, tmp_path):
    (tmp_path / "tasks.py").write_text("import celery\nclass add: ...\n")
    (tmp_path / "user.py").write_text("from tasks import add, missing\nadd.delay()\nmissing.delay()\n")

    sites = json.loads(capa("scan", tmp_path, "--json").out)["sites"]

    assert [] == [site["name"] for site in sites if site["path"] == "user.py"]


def test_without_an_adapter_the_scan_does_not_report_an_unused_sdk(capa, no_maps, tmp_path):
    (tmp_path / "a.py").write_text("import requests\nrequests.get(1)\n")
    ran = capa("scan", tmp_path)

    assert (3, "") == (ran.code, ran.out)
    assert "no adapter is installed, so the names of most SDKs are not known: pip install" in ran.err


def test_imports_alone_have_no_empty_heading_after_them(capa, tmp_path):
    (tmp_path / "a.py").write_text("import requests\n")

    out = capa("scan", tmp_path).out

    assert 1 == out.count("calls and uses")
    assert "\n\n\n" not in out
