"""Addresses in the code get a logical name in capa.toml, and their passwords stay out of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import redis

from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules.addresses import Addresses
from capa_codemods.rules.imports import Imports
from capa_codemods.write.splice import splice

CELERY = "from celery import Celery\n"
REDIS = "import redis\n"


@pytest.fixture
def proposed(names, tmp_path):
    """The tables for capa.toml, as `block.name url`, and the messages."""

    def run(text: str) -> tuple[list[str], list[str]]:
        rewrite = Rewrite(Project(str(tmp_path), names, []), [Addresses()])
        outcome = rewrite.examine_data("module.py", text.encode())
        tables = [
            f"{'.'.join(one.table)} {dict(one.values).get('url', '')}".strip() for one in outcome.settings
        ]
        reported = [finding.message for finding in outcome.findings]
        return tables, [one for one in reported if not one.startswith("redis-py serves this call as before")]

    return run


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        (
            f"{CELERY}Celery('a', broker='redis://h/1', backend='redis://h:7000/')",
            ["pubsub.default", "pubsub.h-1 redis://h/1", "state.default", "state.h-7000 redis://h:7000"],
        ),
        (f"{CELERY}Celery(broker='redis://h/0;redis://other')", ["pubsub.default", "pubsub.h redis://h"]),
        (
            f"{REDIS}redis.Redis(host='Cache.internal')",
            ["state.default", "state.cache-internal redis://cache.internal"],
        ),
        (f"{REDIS}redis.Redis('h', 6380, 2)", ["state.default", "state.h-6380-2 redis://h:6380/2"]),
        (f"{REDIS}redis.StrictRedis(host='h', ssl=True)", ["state.default", "state.h-tls rediss://h"]),
        (
            f"{CELERY}app = Celery('a')\napp.conf.broker_url = 'redis://h'\n",
            ["pubsub.default", "pubsub.h redis://h"],
        ),
        (
            f"{CELERY}app = Celery('a')\napp.conf.update(result_backend='redis://h')\n",
            ["state.default", "state.h redis://h"],
        ),
        (f"{REDIS}p = redis.ConnectionPool(host='h')\n", ["state.default", "state.h redis://h"]),
        ("from redis import from_url as f\nf('redis://h')", ["state.default", "state.h redis://h"]),
        (
            "from redis.asyncio import Redis\nRedis.from_url(url='redis://[::1]/')",
            ["state.default", "state.1 redis://[::1]"],
        ),
        (
            "import capa_celery\ncapa_celery.Celery(broker='redis://h')",
            ["pubsub.default", "pubsub.h redis://h"],
        ),
    ],
)
def test_address_gets_a_name(proposed, text, tables):
    assert (tables, []) == proposed(text)


@pytest.fixture
def moved(names, tmp_path):
    """The code afterwards, with the names moved too; a second run must find nothing to do."""

    def run(text: str, **settings: bool) -> str:
        rewrite = Rewrite(
            Project(str(tmp_path), names, [], settings={"addresses": settings}), [Imports(), Addresses()]
        )
        after = splice(text.encode(), rewrite.examine_data("module.py", text.encode()).edits)
        assert () == rewrite.examine_data("module.py", after).edits
        return after.decode()

    return run


OURS = "from capa_celery import Celery\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Celery('a', broker='redis://h/1')", "Celery('a', broker='capa://h-1')"),
        ('Celery(backend="redis://:geheim@h")', 'Celery(backend="capa://h")'),
        (
            "a = Celery()\na.conf.broker_url = 'redis://h'\na.conf.update(result_backend=r'redis://i')",
            "a = Celery()\na.conf.broker_url = 'capa://h'\na.conf.update(result_backend=r'capa://i')",
        ),
    ],
)
def test_address_in_the_code_becomes_the_name(moved, before, after):
    assert f"{OURS}{after}" == moved(f"{CELERY}{before}") == moved(f"{OURS}{before}")


@pytest.mark.parametrize(
    "text",
    [
        "Celery(broker='redis://h/0;redis://other')",
        "Celery(broker='rediss://h?ssl_cert_reqs=none')",
        "Celery(broker='redis://' 'h')",
        "Celery(broker='db+postgresql://h')",
        "Celery(broker='capa://h')",
    ],
)
def test_address_with_more_than_a_place_stays_in_the_code(moved, text):
    assert f"{OURS}{text}" == moved(f"{OURS}{text}")


def test_address_stays_in_the_code_where_a_setting_keeps_it(moved):
    assert f"{OURS}Celery(broker='redis://h')" == moved(f"{CELERY}Celery(broker='redis://h')", keep=True)


def test_address_of_the_original_stays_in_the_code(names, tmp_path):
    outcome = Rewrite(Project(str(tmp_path), names, []), [Addresses()]).examine_data(
        "module.py", f"{CELERY}Celery(broker='redis://h')".encode()
    )

    assert ("clean", ()) == (outcome.status, outcome.edits)
    assert outcome.settings


def test_name_that_the_address_has_already_is_written_in_the_code(moved, tmp_path):
    (tmp_path / "capa.toml").write_text("[pubsub.jobs]\nlegacy = ['redis://H:6379/0']\n")

    assert f"{OURS}Celery(broker='capa://jobs')" == moved(f"{CELERY}Celery(broker='redis://h')")


@pytest.mark.parametrize(
    "text",
    [
        f"{CELERY}Celery('a', broker=os.environ['BROKER'])",
        f"{CELERY}Celery('a', broker=f'redis://{{h}}')",
        f"{CELERY}Celery('redis://h')\nCelery(backend='rpc')",
        f"{REDIS}redis.Redis()\nredis.Redis(host=h)\nredis.Redis(host='h', port=p)\nredis.Redis(**k)",
        f"{REDIS}redis.Redis(unix_socket_path='/s', host='h')",
        f"{REDIS}redis.from_url('redis://h:port')",
        f"{REDIS}redis.ConnectionPool(Connection, host='h')",
        "from .celery import Celery\nCelery(broker='redis://h')",
        "def Redis(host): pass\nRedis(host='redis')",
    ],
)
def test_an_address_that_is_not_a_literal_is_left_alone(proposed, text):
    assert ([], []) == proposed(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        (f"{REDIS}redis.from_url('redis://:geheim@h/0')", "redis://:${secret:h-password}@h"),
        (f"{REDIS}redis.from_url('redis://me:geheim@h')", "redis://me:${secret:h-password}@h"),
        (
            f"{REDIS}redis.Redis(host='h', username='a b', password='geheim')",
            "redis://a%20b:${secret:h-password}@h",
        ),
        (f"{REDIS}redis.Redis('h', password=SECRET)", "redis://:${secret:h-password}@h"),
    ],
)
def test_password_becomes_a_reference_and_a_warning(proposed, text, url):
    tables, reported = proposed(text)

    assert ["state.default", f"state.h {url}"] == tables
    assert ["the password of redis://h is not copied into capa.toml"] == reported


def test_engine_without_a_component_is_noted(proposed):
    tables, reported = proposed(f"{CELERY}Celery(backend='db+postgresql://u:geheim@h/x')")

    assert [] == tables
    assert [
        "no component of state for db+postgresql is installed: db+postgresql://h/x gets no name"
    ] == reported


def test_call_that_no_adapter_serves_is_noted(names, tmp_path):
    rewrite = Rewrite(Project(str(tmp_path), names, []), [Addresses()])
    (finding,) = rewrite.examine_data("module.py", f"{REDIS}redis.Redis(host='h')".encode()).findings

    assert ("note", 2) == (finding.level, finding.line)
    assert "redis-py serves this call as before; for new code it is the state `h`" == finding.message


@pytest.mark.parametrize("legacy", ['["redis://H:6379/0"]', '"redis://:x@h"'])
def test_address_that_has_a_name_is_left_alone(proposed, tmp_path, legacy):
    (tmp_path / "capa.toml").write_text(f"[state.cache]\nlegacy = {legacy}\n")

    assert ([], []) == proposed(f"{REDIS}redis.Redis(host='h')")


def test_name_that_stands_for_another_engine_is_a_warning(proposed, tmp_path):
    (tmp_path / "capa.toml").write_text("[state.a-b]\nurl = 'redis://a.b'\n")
    tables, reported = proposed(f"{REDIS}redis.Redis(host='a-b')")

    assert [] == tables
    assert ["[state.a-b] in capa.toml is another engine than redis://a-b"] == reported


@pytest.mark.parametrize("host", ["default", "\u5e93"])
def test_host_that_makes_no_name_is_a_warning(proposed, host):
    reported = [f"no logical name can be made of redis://{host}"]

    assert ([], reported) == proposed(f"{REDIS}redis.Redis(host='{host}')")


def test_block_that_has_tables_gets_no_default(proposed, tmp_path):
    (tmp_path / "capa.toml").write_text("[state.other]\n")

    assert (["state.h redis://h"], []) == proposed(f"{REDIS}redis.Redis(host='h')")


PROGRAM = """\
import redis
from capa_core import default_runtime
from capa_celery import Celery

app = Celery("shop", broker="redis://127.0.0.1:{port}/1021", backend="redis://127.0.0.1:{port}/1022")
cache = redis.Redis(host="127.0.0.1", port={port}, db=1023)
cache.set("a", "1")
print(cache.get("a"))


@app.task(name="add")
def add(a, b):
    return a + b


print(add.apply((1, 2)).get())
sent = add.delay(3, 4)
print(sent.state, len(sent.id))
default_runtime().state("anything").put("k", b"v")
print(default_runtime().state("anything").get("k"))
"""


def test_program_prints_the_same_and_its_tasks_go_to_the_address(redis_server, tmp_path):
    program = PROGRAM.format(port=redis_server.port)
    (tmp_path / "app.py").write_text(program)
    before = _printed(tmp_path)
    code = "import sys; from capa_migration.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "migrate", "apply", str(tmp_path), "--only", "addresses"]
    ran = subprocess.run(command, capture_output=True, text=True)

    assert 0 == ran.returncode, ran.stderr + ran.stdout
    names = [f"capa://127-0-0-1-{redis_server.port}-{db}" for db in (1021, 1022)]
    assert f'Celery("shop", broker="{names[0]}", backend="{names[1]}")' in (tmp_path / "app.py").read_text()
    assert 0 == _keys(redis_server.url_of(1021))
    assert before == _printed(tmp_path)
    assert _keys(redis_server.url_of(1021))


def _keys(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return client.dbsize()


def _printed(folder) -> str:
    ran = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True, timeout=50)

    assert 0 == ran.returncode, ran.stderr
    return ran.stdout
