"""A Redis component that is closed while calls are under way: they fail, and their connections are closed by them."""

import threading

import pytest
import redis

from capa_core.components.redis import _pools
from capa_core.components.redis._settings import RedisSettings

pytestmark = pytest.mark.server("redis")


@pytest.fixture
def pool(redis_url):
    pool = _pools.pool_of(RedisSettings(url=redis_url))
    yield pool
    pool.close()


@pytest.fixture
def connection(pool):
    """A connection for a call that is under way."""
    connection = pool.get_connection()
    connection.send_command("PING")
    connection.read_response()
    yield connection
    pool.release(connection)


def test_a_call_that_has_taken_an_idle_connection_finds_it_unusable(pool, connection):
    pool.close()

    assert _pools._is_unusable(connection)


def test_a_call_that_waits_for_its_answer_fails_as_if_the_server_had_ended_it(pool, connection):
    connection.send_command("BLPOP", "nothing", 30)
    failed = []

    def read() -> None:
        try:
            connection.read_response()
        except Exception as error:
            failed.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    pool.close()
    reader.join()

    assert [redis.ConnectionError] == [type(error) for error in failed]


def test_connections_are_closed_with_the_pool_and_with_the_calls_that_end_later(pool, connection):
    idle = pool.get_connection()
    idle.connect()
    pool.release(idle)
    pool.close()
    assert idle._sock is None
    assert connection._sock is not None
    pool.release(connection)

    assert connection._sock is None


def test_a_connection_that_comes_back_in_the_moment_of_the_end_is_closed(pool, connection, monkeypatch):
    class Late(type(pool._idle)):
        def append(self, one) -> None:
            pool.close()
            super().append(one)

    monkeypatch.setattr(pool, "_idle", Late())
    pool.release(connection)

    assert connection._sock is None
    assert not pool._idle
