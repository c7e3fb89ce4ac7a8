"""The column `instead` of import maps: in a scan, in `capa explain`, and in the checks of the map itself."""

from __future__ import annotations

import json

import pytest

from capa_codemods.errors import ImportMapError
from capa_codemods.sdks.import_map_file import parse_import_map
from capa_migration.rewrite.scan.survey import known_maps

MAP = {
    "sdk": {"name": "x", "package": "capa_x", "extra": "x", "roots": ["x"], "distributions": ["x"]},
    "modules": {},
}


def test_a_scan_says_what_to_use_for_a_call_without_an_adapter(capa, tmp_path):
    (tmp_path / "a.py").write_text('import redis\nr = redis.Redis()\nr.setex("a", 3, "b")\n')
    ran = capa("scan", tmp_path / "a.py")
    sites = json.loads(capa("scan", tmp_path / "a.py", "--json").out)["sites"]

    assert "there is no capa_redis yet; use `State.put(…, ttl=…)` [unserved]\n" in ran.out
    assert "redis.Redis().setex  `State.put(…, ttl=…)`\n" in ran.out
    assert ["", "", "`State.put(…, ttl=…)`"] == [site["instead"] for site in sites]


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        ("import boto3\nboto3.client('sqs').send_message()\n", "`PubSub.publish`"),
        ("from kazoo.client import KazooClient\nKazooClient().Lock('/a')\n", "`Lock.lock`"),
        ("import pika\npika.BlockingConnection().channel().basic_publish()\n", "`PubSub.publish`"),
        ("import redis.asyncio\nredis.asyncio.Redis().incr('a')\n", "`State.increment`"),
    ],
)
def test_each_sdk_without_an_adapter_has_replacements(capa, tmp_path, source, instead):
    (tmp_path / "a.py").write_text(source)
    sites = json.loads(capa("scan", tmp_path / "a.py", "--json").out)["sites"]

    assert instead in {site["instead"] for site in sites}


def test_explain_lists_them_under_their_reason(capa, adapters_maps):
    remote, unserved = capa("explain", "celery/remote-control").out, capa("explain", "unserved").out

    assert "- `capa queue list`: in place of `celery graph`" in remote
    assert "`redis.Redis.setex`" in unserved


def test_every_replacement_follows_the_word_use():
    lines = [line for one in known_maps() for line in one.names if line.instead]

    assert [] == [
        line.instead for line in lines if line.instead.startswith("use ") or line.instead.endswith(".")
    ]
    assert lines


def test_the_names_of_a_map_without_modules_share_its_reason():
    line = {"name": "x.f", "support": "none", "instead": "`g`"}
    (found,) = parse_import_map({**MAP, "names": [line]}, "m.toml").names

    assert ("there is no capa_x yet", "`g`") == (found.reason, found.instead)


def test_elsewhere_a_name_that_is_not_served_needs_its_own_reason():
    line = {"name": "x.f", "support": "none", "instead": "`g`"}

    with pytest.raises(ImportMapError, match="without a `reason`"):
        parse_import_map({**MAP, "modules": {"x": "capa_x"}, "names": [line]}, "m.toml")
