"""Configuration on AWS over a bad network: values stay, are told to be old, and the newest always arrives."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import pytest
from tcp_proxy import TcpProxy

from capa_core.blocks.configuration import Configuration
from capa_core.call import Policy
from capa_core.components.aws.appconfig import AppConfigConfiguration, AppConfigSettings
from capa_core.components.aws.ssm import SsmConfiguration, SsmConfigurationSettings
from capa_core.conformance._tolerance import is_prompt, wait_until
from capa_core.errors import UnavailableError

pytestmark = pytest.mark.timeout(120)


@dataclass
class Place:
    """One group of one service.

    Attributes:
        connect: Opens a component at an address; all keep their values in one folder.
        write: Makes the group have these values, past the network.
        changes: How many changes a test makes.
    """

    url: str
    connect: Callable[[str], Configuration]
    write: Callable[[dict[str, str]], object]
    changes: int


@pytest.fixture
def opened(aws_credentials: None, tmp_path: Path) -> Iterator[Callable[..., Configuration]]:
    with ExitStack() as stack:

        def make(driver) -> Configuration:
            made = Configuration(driver, "outages", Policy(), folder=tmp_path / ".capa", poll_s=0.1)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(
    params=[
        pytest.param("ssm", marks=pytest.mark.server("aws")),
        pytest.param("appconfig", marks=pytest.mark.server("appconfig")),
    ]
)
def place(request: pytest.FixtureRequest, opened: Callable[..., Configuration]) -> Place:
    made: Place = request.getfixturevalue(f"{request.param}_place")
    return made


@pytest.fixture
def ssm_place(moto_url: str, opened: Callable[..., Configuration]) -> Place:
    path = f"/{uuid4().hex}/"

    def connect(url: str) -> Configuration:
        settings = SsmConfigurationSettings(endpoint_url=url, prefix=path, interval_s=0.1, timeout_s=1.0)
        return opened(SsmConfiguration(settings))

    return Place(moto_url, connect, connect(moto_url).save, changes=150)


@pytest.fixture
def appconfig_place(appconfig, opened: Callable[..., Configuration]) -> Place:
    appconfig.ignores_required = True

    def connect(url: str) -> Configuration:
        own = {"application": "app", "environment": "test", "interval_s": 0.1, "timeout_s": 1.0}
        return opened(AppConfigConfiguration(AppConfigSettings(endpoint_url=url, **own)))

    def write(values: dict[str, str]) -> None:
        appconfig.release("application", json.dumps(values))
        time.sleep(0.002)  # so that some of them are seen

    return Place(appconfig.url, connect, write, changes=1000)


@pytest.fixture
def proxy(place: Place) -> Iterator[TcpProxy]:
    with TcpProxy.to(int(place.url.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.fixture
def through(proxy: TcpProxy) -> str:
    """The address of the service through the proxy."""
    return f"http://127.0.0.1:{proxy.port}"


def test_the_last_of_many_changes_arrives_and_none_goes_back(place, proxy, through):
    place.write({"number": "-1"})
    reader, seen, rng = place.connect(through), [], random.Random(5)
    view = reader.view()
    reader.watch(lambda event: seen.append(int(event.new.items["number"].value)))
    for number in range(place.changes):
        place.write({"number": str(number)})
        if rng.random() < 0.05:
            rng.choice((proxy.cut, proxy.go_silent, proxy.speak))()
    proxy.speak()
    proxy.cut()
    last = place.changes - 1
    wait_until(lambda: view["number"] == str(last))
    wait_until(lambda: seen and seen[-1] == last)
    wait_until(lambda: not view.stale)

    assert all(earlier < later for earlier, later in pairwise(seen))


@pytest.mark.quiet
def test_a_server_that_is_down_at_the_start_costs_200_ms_at_most(place, proxy, through):
    place.write({"a": "1"})
    place.connect(through).view()
    proxy.close()

    def start_s() -> float:
        later = place.connect(through)
        started = time.monotonic()
        view = later.view()
        took_s = time.monotonic() - started

        assert ("1", True) == (view["a"], view.stale)
        return took_s

    assert is_prompt(start_s, 0.2)


def test_without_values_from_before_it_is_an_error(place, proxy, through):
    proxy.close()

    with pytest.raises(UnavailableError, match="configuration 'outages'"):
        place.connect(through).view()


def test_a_view_is_stale_while_the_server_is_silent_and_recovers(place, proxy, through):
    place.write({"a": "1"})
    view = place.connect(through).view()
    proxy.go_silent()
    proxy.cut()
    wait_until(lambda: view.stale)
    place.write({"a": "2"})
    assert "1" == view["a"]
    proxy.speak()
    proxy.cut()
    wait_until(lambda: view["a"] == "2")
    wait_until(lambda: not view.stale)


@pytest.mark.server("appconfig")
@pytest.mark.parametrize("how", ["500", "html", "truncated"])
def test_a_change_that_is_made_while_answers_are_wrong_arrives(appconfig_place, appconfig, how):
    appconfig_place.write({"a": "1"})
    view = appconfig_place.connect(appconfig_place.url).view()
    appconfig.broken = how
    appconfig_place.write({"a": "2"})
    wait_until(lambda: view.stale)
    assert "1" == view["a"]
    appconfig.broken = ""
    wait_until(lambda: view["a"] == "2")
    wait_until(lambda: not view.stale)
