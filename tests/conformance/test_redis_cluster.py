"""Conformance of the Redis components on a cluster of three nodes."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from capa_core.components.redis.configuration import RedisConfiguration, RedisConfigurationSettings
from capa_core.components.redis.lock import RedisLock, RedisLockSettings
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.components.redis.schedule import RedisSchedule, RedisScheduleSettings
from capa_core.components.redis.sequencer import RedisSequencer, RedisSequencerSettings
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.conformance._configuration.writing import WritingPromises
from capa_core.conformance._state.many import ManyPromises
from capa_core.conformance.lock import LockConformance
from capa_core.conformance.pubsub import PubSubConformance
from capa_core.conformance.schedule import LEASE_S, ScheduleConformance
from capa_core.conformance.sequencer import SequencerConformance
from capa_core.conformance.state import Connect, StateConformance
from capa_core.errors import SettingsError

pytestmark = pytest.mark.server("redis_groups")


@pytest.fixture
def settings(redis_cluster_url: str) -> dict[str, object]:
    """Give the settings of components with keys of their own."""
    return {"url": redis_cluster_url, "cluster": True, "prefix": f"{uuid4().hex}:"}


class TestRedisClusterPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, settings: dict[str, object]) -> Iterator[RedisPubSub]:
        driver = RedisPubSub(RedisPubSubSettings(**settings, abandoned_s=3))
        yield driver
        driver.close()


class TestRedisClusterState(StateConformance):
    @pytest.fixture
    def connect(self, settings: dict[str, object]) -> Connect:
        return lambda: RedisState(RedisStateSettings(**settings))


class TestRedisClusterStateOnOneNode(ManyPromises):
    """With a hash tag in the prefix there are transactions."""

    @pytest.fixture
    def connect(self, settings: dict[str, object]) -> Connect:
        settings["prefix"] = f"{{{settings['prefix']}}}"
        return lambda: RedisState(RedisStateSettings(**settings))


class TestRedisClusterConfiguration(WritingPromises):
    """Its state is on one node; the other promises are the same as on one server."""

    @pytest.fixture
    def driver(self, settings: dict[str, object]) -> Iterator[RedisConfiguration]:
        settings["prefix"] = f"{{{settings['prefix']}}}"
        driver = RedisConfiguration(RedisConfigurationSettings(**settings))
        yield driver
        driver.close()

    def test_a_prefix_without_a_hash_tag_is_refused(self, settings: dict[str, object]) -> None:
        with pytest.raises(SettingsError, match="in transactions: the keys are on several nodes"):
            RedisConfiguration(RedisConfigurationSettings(**settings))


class TestRedisClusterLock(LockConformance):
    @pytest.fixture
    def connect(self, settings: dict[str, object]) -> object:
        return lambda: RedisLock(RedisLockSettings(**settings))


class TestRedisClusterSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, settings: dict[str, object]) -> object:
        return lambda: RedisSequencer(RedisSequencerSettings(**settings))


class TestRedisClusterSchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self, settings: dict[str, object]) -> object:
        return lambda *, lease_s=LEASE_S: RedisSchedule(RedisScheduleSettings(**settings, lease_s=lease_s))
