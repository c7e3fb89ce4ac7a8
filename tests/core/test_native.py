"""Native clients: the engine's own client, for code that is tied to one engine on purpose."""

import sqlite3
from pathlib import Path

import pytest
import redis

from capa_core import Runtime
from capa_core.conformance._processes import Child
from capa_core.errors import UnsupportedError


@pytest.fixture
def runtime(tmp_path: Path):
    with Runtime(start=tmp_path, environ={}) as runtime:
        yield runtime


def test_a_sqlite_connection_sees_what_the_component_wrote(runtime):
    runtime.state().put("k", b"v")
    rows = runtime.state().native(sqlite3.Connection).execute("SELECT key, value FROM state").fetchall()

    assert [("k", b"v")] == rows


def test_the_component_sees_what_a_sqlite_connection_wrote(runtime):
    runtime.state().put("k", b"v")
    runtime.state().native(sqlite3.Connection).execute("DELETE FROM state")

    assert runtime.state().get("k") is None


def test_a_fork_closes_a_sqlite_connection_on_both_sides_and_gives_new_ones(runtime):
    state = runtime.state()
    before = state.native(sqlite3.Connection)

    def child():
        return state.native(sqlite3.Connection).execute("SELECT count(*) FROM state").fetchone()

    assert (0,) == Child(child).result()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        before.execute("SELECT 1")
    assert (1,) == state.native(sqlite3.Connection).execute("SELECT 1").fetchone()


def test_a_wrong_type_is_refused_with_those_there_are(runtime):
    with pytest.raises(
        UnsupportedError, match=r"state 'default': .*redis.client.Redis: request sqlite3.Conn"
    ):
        runtime.state().native(redis.Redis)
    with pytest.raises(UnsupportedError, match="its engine has no client of its own"):
        runtime.configuration().native(redis.Redis)


@pytest.mark.server("redis")
def test_a_redis_client_uses_the_component_s_server_without_its_prefix(redis_url, tmp_path):
    with Runtime({"state": {"default": {"driver": "redis", "url": redis_url}}}, start=tmp_path) as runtime:
        runtime.state().put("k", b"v")
        client = runtime.state().native(redis.Redis)

        assert client.get("capa:state:k").endswith(b"v")
        assert [b"capa:state:k"] == client.keys("*")
