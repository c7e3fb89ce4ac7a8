"""Where Redis is: one server, a service behind Sentinels, a cluster; and settings that say something else."""

import pytest
from pydantic import ValidationError
from redis import Redis, RedisCluster
from servers.redis_groups import SERVICE

from capa_core.blocks.pubsub import PubSub
from capa_core.blocks.state import State
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.errors import SettingsError, UnavailableError

URL = "redis://10.0.0.1:6379/0"


@pytest.fixture
def open_state():
    opened = []

    def open_one(**settings):
        opened.append(State(RedisState(RedisStateSettings(timeout_s=1, **settings))))
        return opened[-1]

    yield open_one
    for state in opened:
        state.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": URL, "cluster": True, "sentinels": ["a:1"]}, "A cluster has no Sentinels"),
        ({"url": "redis://10.0.0.1/3", "cluster": True}, "A cluster has database 0 alone"),
        ({"url": "unix:///run/redis", "cluster": True}, "A socket is one server"),
        ({"url": URL, "sentinels": ["a:1"]}, "the host in `url` is the name of a service"),
        ({"url": "redis://s/0", "sentinels": ["redis://a:1"]}, "This is not the address of a Sentinel"),
        ({"url": "redis://s/0", "sentinels": ["a:b"]}, "This is not the address of a Sentinel"),
        ({"url": "redis://s/0", "sentinels": [""]}, "This is not the address of a Sentinel"),
        ({"url": "sentinel://a:26379/s"}, "with Sentinels, which stand in `sentinels`"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, told):
    with pytest.raises(ValidationError, match=told):
        RedisStateSettings(**settings)


def test_a_sentinel_has_a_port_by_default():
    settings = RedisStateSettings(url="redis://s/0", sentinels=["a", "[::1]:7"])

    assert [("a", 26379), ("::1", 7)] == settings.sentinel_addresses()


def test_sentinels_that_do_not_answer_are_unavailable(open_state):
    state = open_state(url="redis://Orders/0", sentinels=["127.0.0.1:1", "127.0.0.1:2"])

    with pytest.raises(
        UnavailableError,
        match=r"No master found for 'Orders' by the Sentinels [\d.:, ]+: none of them answers\. `capa",
    ):
        state.get("k")


@pytest.mark.server("redis_groups")
def test_a_service_is_found_by_its_name(redis_service, open_state):
    state = open_state(url=redis_service.url, sentinels=redis_service.sentinels)
    state.put("k", b"v")

    assert SERVICE in state.ping()
    assert b"v" == state.native(Redis).getrange("capa:state:k", 20, -1)
    assert "the loss of a master, whose replica takes its place" in [risk.event for risk in state.risks()]
    with pytest.raises(
        UnavailableError,
        match=r"No master found for 'Payments' by the Sentinels [\d.:, ]+: none of them knows it\. `capa",
    ):
        open_state(url="redis://Payments/0", sentinels=redis_service.sentinels).get("k")


@pytest.mark.server("redis_groups")
def test_the_native_client_of_a_cluster_is_one(redis_cluster_url, open_state):
    state = open_state(url=redis_cluster_url, cluster=True, prefix="native:")
    state.put("k", b"v")

    assert b"v" == state.native(RedisCluster).getrange("native:k", 20, -1)
    assert "and 2 nodes more of its cluster" in state.ping()


@pytest.mark.server("redis")
def test_a_server_that_is_no_node_is_named(redis_url, open_state):
    with pytest.raises(SettingsError, match="is no node of a cluster: remove `cluster = true`"):
        open_state(url=redis_url.rpartition("/")[0] + "/0", cluster=True).get("k")


@pytest.mark.server("redis")
def test_a_server_that_is_taken_for_a_sentinel_is_named(redis_url, open_state):
    address = redis_url.partition("//")[2].partition("/")[0]

    with pytest.raises(SettingsError, match="write the addresses of Sentinels there, or remove `sentinels`"):
        open_state(url="redis://service/0", sentinels=(address,)).get("k")


@pytest.mark.server("redis")
def test_a_database_that_the_server_lacks_is_named(redis_url, open_state):
    with pytest.raises(SettingsError, match="out of range: lower the number of the database in `url`"):
        open_state(url=redis_url.rpartition("/")[0] + "/9999999").get("k")


@pytest.mark.server("redis_groups")
def test_a_database_of_a_node_that_is_taken_for_a_server_is_named(redis_cluster_url, open_state):
    with pytest.raises(SettingsError, match="set `cluster = true`, and remove the number of the database"):
        open_state(url=redis_cluster_url.rpartition("/")[0] + "/3").get("k")


@pytest.mark.server("redis_groups")
def test_a_node_that_is_taken_for_a_server_is_named(redis_cluster_url, open_state):
    state = open_state(url=redis_cluster_url, prefix="alone:")

    with pytest.raises(
        SettingsError, match="this is one node of a cluster, and has no slot.* `cluster = true`"
    ):
        state.put_many({str(number): b"v" for number in range(50)})


@pytest.mark.server("redis_groups")
def test_a_node_that_is_taken_for_a_server_stores_no_message(redis_cluster_url):
    settings = RedisPubSubSettings(url=redis_cluster_url, prefix="alone:")
    with PubSub(RedisPubSub(settings)) as pubsub:
        for number in range(20):
            outcomes = pubsub.publish_many(f"t{number}", [b"1", b"2"], raw=True)
            errors = [outcome.error for outcome in outcomes if not outcome.ok]
            assert all("set `cluster = true`" in str(error) for error in errors)
            if errors:
                return
    pytest.fail("one node has all slots")
