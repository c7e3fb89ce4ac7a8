"""Configuration on servers over a bad network: values stay, are told to be old, and the newest arrives."""

import random
import re
import time
from itertools import pairwise
from uuid import uuid4

import pytest
from tcp_proxy import TcpProxy

from capa_core.blocks.configuration import BLOCK, Configuration
from capa_core.call import Policy
from capa_core.conformance._tolerance import SLOW_MACHINE_S, is_prompt, wait_until
from capa_core.errors import DeadlineError, UnavailableError
from capa_core.runtime._registry import driver_type

pytestmark = pytest.mark.timeout(120)
CHANGES = 1000
DRIP_S = 0.75
"""Between two bytes: within the time that a single read may take."""

ENGINES = {
    "redis": lambda get: {"url": get("redis_url")},
    "nats": lambda get: {"url": get("nats_url"), "prefix": uuid4().hex},
    "nacos": lambda get: {"url": get("nacos_url"), "hold_s": 2.0},
    "etcd": lambda get: get("etcd_settings"),
    "postgres": lambda get: {"url": get("postgres_url"), "schema_name": get("postgres_schema")},
    "zookeeper": lambda get: {**get("zookeeper_settings"), "session_s": 4.0},
    "qconfig": lambda get: {"url": get("qconfig").url, "application": "app", "env": "prod", "hold_s": 2.0},
}
"""Engine → the settings of a component that no other test has."""


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.server(name)) for name in ENGINES])
def engine(request):
    return request.param


@pytest.fixture
def direct(engine, request):
    """The settings of a component on the server itself."""
    return ENGINES[engine](request.getfixturevalue)


@pytest.fixture
def connect(engine, tmp_path):
    """Return a function that makes a component which keeps its values in a folder of the test."""
    made, kind = [], driver_type(BLOCK, engine, "")

    def make(settings) -> Configuration:
        driver = kind(kind.settings_type(**settings, timeout_s=1.0))
        made.append(Configuration(driver, "outages", Policy(), folder=tmp_path / ".capa", poll_s=0.1))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def write(engine, request, connect, direct):
    """Return a function that sets values past the network; of QConfig the server does, since the component reads."""
    if engine != "qconfig":
        return connect(direct).save
    server = request.getfixturevalue("qconfig")

    def release(values) -> None:
        server.release("application.properties", "".join(f"{key} = {text}\n" for key, text in values.items()))
        time.sleep(0.002)  # so that some of them are seen

    return release


@pytest.fixture
def proxy(direct):
    with TcpProxy.to(int(re.search(r":(\d+)(?=/|$)", _address(direct)).group(1))) as proxy:
        yield proxy


@pytest.fixture
def through(proxy, direct):
    """The settings of a component on the server through the proxy."""
    return {
        name: re.sub(r":\d+(?=/|$)", f":{proxy.port}", value) if name in ("url", "hosts") else value
        for name, value in direct.items()
    }


def _address(settings):
    return settings.get("url") or settings["hosts"]


def test_the_last_of_many_changes_arrives_and_none_goes_back(connect, write, proxy, through):
    reader = connect(through)
    write({"number": "-1"})
    view, seen, rng = reader.view(), [], random.Random(5)
    reader.watch(lambda event: seen.append(int(event.new.items["number"].value)))
    for number in range(CHANGES):
        write({"number": str(number)})
        if rng.random() < 0.05:
            rng.choice((proxy.cut, proxy.go_silent, proxy.speak))()
    proxy.speak()
    proxy.cut()
    wait_until(lambda: view["number"] == str(CHANGES - 1))
    wait_until(lambda: seen and seen[-1] == CHANGES - 1)

    assert all(earlier < later for earlier, later in pairwise(seen))
    assert not view.stale


@pytest.mark.quiet
def test_a_server_that_is_down_at_the_start_costs_200_ms_at_most(connect, write, proxy, through):
    write({"a": "1"})
    connect(through).view()
    proxy.close()

    def start_s() -> float:
        later = connect(through)
        started = time.monotonic()
        view = later.view()
        took_s = time.monotonic() - started

        assert ("1", True) == (view["a"], view.stale)
        return took_s

    assert is_prompt(start_s, 0.2)


def test_without_values_from_before_it_is_an_error(engine, connect, proxy, through):
    proxy.close()

    kind = DeadlineError if engine == "zookeeper" else UnavailableError
    with pytest.raises(kind, match="configuration 'outages'"):
        connect(through).view()


def test_a_view_is_stale_while_the_server_is_silent_and_recovers(connect, write, proxy, through):
    write({"a": "1"})
    view = connect(through).view()
    proxy.go_silent()
    proxy.cut()
    wait_until(lambda: view.stale)
    write({"a": "2"})
    assert "1" == view["a"]
    proxy.speak()
    proxy.cut()
    wait_until(lambda: view["a"] == "2")
    wait_until(lambda: not view.stale)


def test_a_view_is_stale_while_answers_drip_and_recovers(connect, write, proxy, through):
    write({"a": "1"})
    view = connect(through).view()
    proxy.trickle(DRIP_S)
    proxy.cut()
    wait_until(lambda: view.stale)
    write({"a": "2"})
    assert "1" == view["a"]
    proxy.speak()
    proxy.cut()
    wait_until(lambda: view["a"] == "2")
    wait_until(lambda: not view.stale)


def test_a_start_ends_in_time_while_answers_drip(connect, write, proxy, through):
    write({"a": "1"})
    proxy.trickle(DRIP_S)
    started = time.monotonic()
    with pytest.raises((UnavailableError, DeadlineError), match="configuration 'outages'"):
        connect(through).view()
    took_s = time.monotonic() - started

    assert took_s < 1.1 * Policy().deadline_s + SLOW_MACHINE_S
