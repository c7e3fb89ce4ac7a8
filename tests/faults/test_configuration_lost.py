"""Configuration on a server that comes back without its data: the values read last stay, and are told to be old."""

import pytest

from capa_core.blocks.configuration import BLOCK, Configuration
from capa_core.call import Policy
from capa_core.conformance._tolerance import wait_until
from capa_core.runtime._registry import driver_type

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.server(name)) for name in ("nats", "etcd")])
def engine(request):
    return request.param


@pytest.fixture
def connect(engine, tmp_path):
    """Return a function that makes a component at an address; all keep their values in one folder."""
    made, kind = [], driver_type(BLOCK, engine, "")

    def make(url) -> Configuration:
        driver = kind(kind.settings_type(url=url))
        made.append(Configuration(driver, "lost", Policy(retries=0), folder=tmp_path / ".capa", poll_s=0.1))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def server(engine, request):
    return request.getfixturevalue(f"start_{engine}")()


@pytest.fixture
def writer(connect, server):
    """A component whose two saves are the only ones on the server."""
    writer = connect(server.url)
    writer.save({"a": "0"})
    writer.save({"a": "1"})
    return writer


def test_values_of_a_server_that_lost_its_disk_stay_until_the_group_is_saved_again(
    connect, server, writer, caplog
):
    view = connect(server.url).view()
    server.kill()
    server.lose_disk()
    server.start()
    wait_until(lambda: view.stale)
    wait_until(lambda: "has lost group 'application'" in caplog.text)
    later = connect(server.url)

    assert ("1", "1", True) == (view["a"], later.view()["a"], later.view().stale)

    writer.save({"b": "2"})
    wait_until(lambda: dict(view) == {"b": "2"} and not view.stale)
    wait_until(lambda: not later.view().stale)


EMPTY = {
    "nats": lambda state: state.link.api("STREAM.PURGE.KV_capa-configuration-state"),
    "etcd": lambda state: state.delete_many(list(state.scan(""))),
}


def test_values_that_an_operator_removed_are_gone(connect, engine, server, writer):
    view = connect(server.url).view()
    EMPTY[engine](writer._driver.under)
    wait_until(lambda: not view)
    later = connect(server.url).view()

    assert ({}, False, False) == (dict(later), view.stale, later.stale)
