"""SDKs: all are counted, those with an adapter, their own libraries, and those without an adapter yet."""

from __future__ import annotations

import importlib
import json

import pytest

from capa_codemods.api import Names
from capa_migration.rewrite.scan.judge import Judge
from capa_migration.rewrite.scan.survey import known_maps


@pytest.fixture
def sites(capa, tmp_path):
    """Return the sites of one file: (SDK, name, support, reason)."""

    def run(source: str, **files: str) -> list[tuple[str, str, str, str]]:
        for name, text in {"a.py": source, **files}.items():
            (tmp_path / name).write_text(text)
        found = json.loads(capa("scan", tmp_path, "--json").out)["sites"]
        return [
            (one["sdk"], one["name"], one["support"], one["reason"])
            for one in found
            if one["kind"] != "import"
        ]

    return run


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import redis\nredis.from_url(u).pipeline().execute()\n", "redis.client.Pipeline().execute"),
        ("from redis import StrictRedis\nr = StrictRedis()\nr.get('x')\n", "redis.Redis().get"),
        (
            "import pika\nc = pika.BlockingConnection(p).channel()\nc.basic_publish('', 'q', b'')\n",
            "pika.adapters.blocking_connection.BlockingChannel().basic_publish",
        ),
        (
            "from kazoo.client import KazooClient\nz = KazooClient(hosts='x')\nz.ensure_path('/a')\n",
            "kazoo.client.KazooClient().ensure_path",
        ),
        ("import boto3\nboto3.Session().client('s3').put_object()\n", "boto3.client('s3').put_object"),
        (
            "import boto3\ns3 = boto3.resource(name)\ns3.Bucket('x').upload_file()\n",
            "boto3.resource().Bucket().upload_file",
        ),
        ("import botocore.config\nbotocore.config.Config(retries=1)\n", "botocore.config.Config"),
    ],
)
def test_sdk_without_an_adapter_is_counted_with_the_reason(sites, source, name):
    sdk = {"botocore": "boto3"}.get(name.partition(".")[0], name.partition(".")[0])

    assert (sdk, name, "none", f"there is no capa_{sdk} yet") in sites(source)


@pytest.mark.usefixtures("adapters_maps")
def test_billiard_belongs_to_celery_and_kombu_has_an_adapter_of_its_own(sites):
    found = sites("import kombu, billiard\nkombu.Connection(u)\nkombu.uuid()\nbilliard.Process(target=f)\n")

    assert [
        ("kombu", "kombu.Connection", "full"),
        ("kombu", "kombu.uuid", "full"),
        ("celery", "billiard.Process", "full"),
    ] == [one[:3] for one in found]


@pytest.mark.parametrize("module", ["kombu", "kombu.common", "kombu.messaging"])
def test_name_of_kombu_is_served_as_the_module_is_that_defines_it(module):
    judge = Judge(Names(known_maps()))
    names = importlib.import_module(module).__all__
    defined = {name: getattr(importlib.import_module(module), name) for name in names if name[:2] != "__"}
    places = {name: f"{one.__module__}.{name}" for name, one in defined.items() if hasattr(one, "__module__")}

    assert "kombu.utils.uuid.uuid" in places.values() or module == "kombu.messaging"
    for name, place in places.items():
        assert judge.of(place, (), ()).support == judge.of(f"{module}.{name}", (), ()).support, name


def test_maps_for_the_scan_claim_each_root_once():
    roots = [root for one in known_maps() for root in one.roots]

    assert sorted(set(roots)) == sorted(roots)
    assert {"redis", "pika", "kazoo", "boto3", "botocore", "kombu", "billiard"} <= set(roots)


def test_reason_that_holds_for_many_places_is_not_repeated_for_each(capa, tmp_path):
    (tmp_path / "a.py").write_text("import redis\n" + "redis.Redis()\n" * 20)

    out = capa("scan", tmp_path).out

    assert 10 == out.count(": there is no capa_redis yet [unserved]\n")
    assert "… and 11 more places of redis: none: there is no capa_redis yet (--all lists them)\n" in out
    assert 21 == capa("scan", tmp_path, "--all").out.count(": there is no capa_redis yet [unserved]\n")
