"""Limits at their boundary, on engines with small limits: filling large ones takes minutes."""

import sqlite3
from collections.abc import Iterator

import pytest

from capa_core.components.memory.configuration import MemoryConfiguration, MemoryConfigurationSettings
from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings
from capa_core.components.memory.state import MemoryState, MemoryStateSettings
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.components.sqlite._file import largest_row
from capa_core.components.sqlite.pubsub import SqlitePubSub, SqlitePubSubSettings
from capa_core.components.sqlite.state import SqliteState
from capa_core.conformance._configuration.limits import LimitPromises as ConfigurationLimitPromises
from capa_core.conformance._pubsub.limits import LimitPromises as PubSubLimitPromises
from capa_core.conformance._state.limits import LimitPromises as StateLimitPromises

MIB = 1024**2


@pytest.fixture
def small_sqlite(monkeypatch):
    """SQLite with rows of at most 2 MiB, as if built with a small SQLITE_MAX_LENGTH."""

    def connect(*args, **kwargs):
        connection = whole(*args, **kwargs)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * MIB)
        return connection

    whole = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", connect)
    largest_row.cache_clear()
    yield
    largest_row.cache_clear()


@pytest.fixture
def small_redis(start_redis):
    return start_redis(proto_max_bulk_len="1mb").url


class TestSmallSqliteState(StateLimitPromises):
    @pytest.fixture
    def connect(self, tmp_path, small_sqlite):
        return lambda: SqliteState(SqliteState.settings_type(folder=tmp_path))


class TestSmallSqlitePubSub(PubSubLimitPromises):
    @pytest.fixture
    def driver(self, tmp_path, small_sqlite) -> Iterator[SqlitePubSub]:
        yield SqlitePubSub(SqlitePubSubSettings(folder=tmp_path))


@pytest.mark.server("redis")
class TestSmallRedisState(StateLimitPromises):
    @pytest.fixture
    def connect(self, small_redis):
        return lambda: RedisState(RedisStateSettings(url=small_redis, max_bulk_bytes=MIB))


@pytest.mark.server("redis")
class TestSmallRedisPubSub(PubSubLimitPromises):
    @pytest.fixture
    def driver(self, small_redis) -> Iterator[RedisPubSub]:
        yield RedisPubSub(RedisPubSubSettings(url=small_redis, max_bulk_bytes=MIB))


class TestSmallMemoryState(StateLimitPromises):
    @pytest.fixture
    def connect(self):
        return lambda: MemoryState(MemoryStateSettings(max_value_bytes=100))


class TestSmallMemoryPubSub(PubSubLimitPromises):
    @pytest.fixture
    def driver(self) -> Iterator[MemoryPubSub]:
        yield MemoryPubSub(MemoryPubSubSettings(max_message_bytes=100, max_delay_s=900))


class TestSmallMemoryConfiguration(ConfigurationLimitPromises):
    @pytest.fixture
    def driver(self) -> Iterator[MemoryConfiguration]:
        yield MemoryConfiguration(MemoryConfigurationSettings(max_value_bytes=100, max_document_bytes=100))
