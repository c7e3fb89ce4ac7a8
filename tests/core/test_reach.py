"""Whether servers take connections, and starts of configuration that ask for it before they prepare anything."""

import socket
import subprocess
import sys

import pytest
from servers._process import free_port

from capa_core.components.aws._servers import servers
from capa_core.components.aws._settings import AwsSettings
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.reach import Server, servers_of, takes_connections

START = """
import sys
from capa_core.blocks.configuration import Configuration
from capa_core.blocks.configuration._snapshot_cache import SnapshotCache
from capa_core.blocks.configuration._watcher import Watcher
from capa_core.blocks.configuration.driver import ConfigurationItem, Scope, Snapshot
from capa_core.components.aws.appconfig import AppConfigConfiguration
from capa_core.components.aws.ssm import SsmConfiguration
from pathlib import Path

Watcher.wake = lambda self: None  # its thread asks the engine, for which it needs boto3
folder, own = Path(sys.argv[1]), {"endpoint_url": f"http://127.0.0.1:{sys.argv[2]}"}
SnapshotCache(folder, "cold").save(Scope(), Snapshot({"a": ConfigurationItem("a", "1", "1")}, "1"))
for kind, more in (SsmConfiguration, {}), (AppConfigConfiguration, {"application": "a", "environment": "b"}):
    driver = kind(kind.settings_type(**own, **more))
    view = Configuration(driver, "cold", folder=folder).view()
    print(kind.__name__, view["a"], view.stale, "boto3" in sys.modules or "botocore" in sys.modules)
"""


@pytest.fixture
def full():
    """A server that takes no more connections, nor refuses any."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(server.getsockname())
        yield Server(*server.getsockname())
        for one in waiting:
            one.close()


@pytest.fixture
def up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Server(*server.getsockname())


@pytest.fixture
def down():
    return Server("127.0.0.1", free_port())


def test_one_server_of_several_is_enough(up, down, full):
    assert takes_connections([up], 5)
    assert takes_connections([down, full, up], 0.1)
    assert not takes_connections([down, full], 0.1)
    assert not takes_connections([], 5)


def test_a_name_is_looked_up_within_the_time(monkeypatch, up):
    real = socket.getaddrinfo
    found = {"up.example": lambda: real("127.0.0.1", up.port, type=socket.SOCK_STREAM), "bad.example": list}
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: found[host]())

    assert takes_connections([Server("bad.example", 1), Server("up.example", up.port)], SLOW_MACHINE_S)
    assert not takes_connections([Server("bad.example", 1)], SLOW_MACHINE_S)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://a", [("a", 1)]),
        ("http://u:p%40@a:2/b,c?d=e", [("a", 2)]),
        ("postgresql://u:p@a:2,b/x", [("a", 2), ("b", 1)]),
        ("a:2, [::1]:3/chroot", [("a", 2), ("::1", 3)]),
        ("unix:///run/x", []),
        ("http://a:port", []),
    ],
)
def test_servers_are_read_from_an_address(address, expected):
    assert expected == servers_of(address, 1)


@pytest.fixture
def _no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_no_proxies")
@pytest.mark.parametrize(
    ("settings", "environment", "expected"),
    [
        ({"region": "eu-central-1"}, {}, [("ssm.eu-central-1.amazonaws.com", 443)]),
        ({}, {"AWS_DEFAULT_REGION": "us-east-1"}, [("ssm.us-east-1.amazonaws.com", 443)]),
        ({"endpoint_url": "http://a:5"}, {}, [("a", 5)]),
        ({"endpoint_url": "https://a"}, {}, [("a", 443)]),
        ({"endpoint_url": "http://a:5"}, {"HTTPS_PROXY": "http://b"}, []),
        ({"region": "eu-central-1"}, {"AWS_ENDPOINT_URL_SSM": "http://b"}, []),
        ({"region": "eu-central-1", "profile": "p"}, {}, []),
        ({"region": "cn-north-1"}, {}, []),
        ({"region": "us-gov-west-1"}, {}, []),
        ({}, {}, []),
    ],
)
def test_the_server_of_a_service_is_told_only_where_it_is_sure(monkeypatch, settings, environment, expected):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == servers(AwsSettings(**settings), "ssm")


def test_aws_that_is_down_at_a_cold_start_costs_no_import_of_boto3(tmp_path):
    words = [sys.executable, "-c", START, str(tmp_path), str(free_port())]
    done = subprocess.run(words, capture_output=True, text=True, check=False)

    assert ["SsmConfiguration 1 True False", "AppConfigConfiguration 1 True False"] == [
        line
        for line in done.stdout.splitlines()
        if "Configuration " in line and "does not answer" not in line
    ], done.stderr
    assert 2 == (done.stdout + done.stderr).count("the engine does not answer; serving the values read last")
