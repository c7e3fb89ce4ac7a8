"""Redis goes down, goes silent, fills up, forgets its scripts: each a typed error in time, or nothing at all."""

import contextlib
import socket
import threading
import time
import traceback

import pytest
import redis

from capa_core.blocks.state import Put, State
from capa_core.call import Policy
from capa_core.components.redis._connect import connect
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import DeadlineError, ExhaustedError, UnavailableError

pytestmark = pytest.mark.server("redis")

CANARY = b"s3cret-canary-value"
TIMEOUT_S = 0.4
DEADLINE_S = 1.5


def open_state(port, *, retries=1):
    driver = RedisState(RedisStateSettings(url=f"redis://127.0.0.1:{port}/0", timeout_s=TIMEOUT_S))
    return State(driver, policy=Policy(deadline_s=DEADLINE_S, attempt_s=TIMEOUT_S, retries=retries))


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


CALLS = {
    "get": lambda state: state.get("k"),
    "put": lambda state: state.put("k", b"w"),
    "put if": lambda state: state.put("k", b"w", if_etag="e"),
    "put many": lambda state: state.put_many({"k": b"w"}, notify=True),
    "delete": lambda state: state.delete("k"),
    "transact": lambda state: state.transact([Put("k", b"w")]),
    "scan": lambda state: list(state.scan()),
    "increment": lambda state: state.increment("n"),
    "wait": lambda state: state.wait("nothing", timeout=1),
    "ping": lambda state: state.ping(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_is_down_is_unavailable_at_once(unused_port, call):
    with open_state(unused_port) as state:
        started = time.monotonic()
        with pytest.raises(UnavailableError, match="Connection refused"):
            call(state)

    assert time.monotonic() - started < DEADLINE_S * 1.1 + SLOW_MACHINE_S


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_never_answers_runs_into_the_deadline(proxy, call):
    with open_state(proxy.port) as state:
        state.put("k", b"v")
        proxy.go_silent()
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            call(state)

    assert time.monotonic() - started < DEADLINE_S * 1.1 + SLOW_MACHINE_S


@pytest.mark.parametrize("known", [True, False], ids=["connected", "in the handshake"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_trickles_runs_into_the_deadline(proxy, call, known):
    with open_state(proxy.port) as state:
        if known:
            state.put("k", b"v")
        proxy.trickle(0.75 * TIMEOUT_S)
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            call(state)

    assert time.monotonic() - started < DEADLINE_S * 1.1 + SLOW_MACHINE_S


def test_a_wait_ends_in_time_when_a_notice_trickles(server, proxy):
    with open_state(server.port) as writer, open_state(proxy.port) as state:
        etag = writer.put("k", b"v")
        trickling = threading.Timer(0.3, proxy.trickle, [0.05])
        notice = threading.Timer(0.5, writer.put, ["k", b"w" * 1000], {"notify": True})
        trickling.start()
        notice.start()
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            state.wait("k", etag, timeout=1)
        trickling.join()
        notice.join()

    assert time.monotonic() - started < 4


@pytest.mark.parametrize("looks_before", [0, 1])
def test_a_wait_ends_in_its_own_time_when_the_server_never_answers(proxy, looks_before):
    driver = RedisState(RedisStateSettings(url=f"redis://127.0.0.1:{proxy.port}/0", timeout_s=20))
    with State(driver) as state:
        for _ in range(looks_before):
            state.wait("nothing", timeout=0)
        proxy.go_silent()
        started = time.monotonic()
        with pytest.raises(DeadlineError):
            state.wait("nothing", timeout=1)

    assert time.monotonic() - started < 4


def test_a_broken_connection_is_replaced(proxy):
    with open_state(proxy.port) as state:
        state.put("k", b"v")
        for _ in range(5):
            proxy.cut()
            assert b"v" == state.get("k")


def test_a_waiting_call_gets_a_change_after_the_connection_was_cut(proxy):
    with open_state(proxy.port) as state:
        cutting = threading.Timer(0.2, proxy.cut)
        writing = threading.Timer(0.5, state.put, ["k", b"v"], {"notify": True})
        cutting.start()
        writing.start()

        changed = state.wait("k", timeout=10)
        cutting.join()
        writing.join()

        assert b"v" == changed.value


def test_a_server_that_was_restarted_serves_again(server):
    with open_state(server.port, retries=3) as state:
        state.put("k", b"v", if_etag="", notify=True)
        server.stop()
        with pytest.raises(UnavailableError):
            state.get("k")
        server.start()

        assert state.get("k") is None
        assert state.put("k", b"w", if_etag="", notify=True)
        assert 1 == state.increment("n")


def test_scripts_are_loaded_again_after_a_flush(server):
    with open_state(server.port) as state:
        for _ in range(2):
            state.put("k", b"v", notify=True)
            state.increment("n")
            state.put_many({"a": b"1"}, notify=True)
            state.transact([Put("b", b"1")])
            state.native(redis.Redis).script_flush()

        assert 3 == state.increment("n")


def test_a_full_server_is_exhausted_and_stores_nothing(start_redis):
    server = start_redis(maxmemory="3mb", maxmemory_policy="noeviction")
    stored = {}
    with open_state(server.port) as state:
        with contextlib.suppress(ExhaustedError):
            for number in range(100):
                stored[f"k{number}"] = state.put(f"k{number}", b"x" * 100_000)

        assert 1 < len(stored) < 100
        assert stored == {
            key: item.etag for key, item in state.get_items(f"k{n}" for n in range(100)).items()
        }
        with pytest.raises(ExhaustedError):
            state.transact([Put("a", b"x" * 100_000), Put("b", b"x" * 100_000)])
        assert {} == state.get_many(["a", "b"])


def test_a_frozen_server_that_wakes_up_serves_again(server):
    with open_state(server.port) as state:
        state.put("k", b"v")
        server.pause()
        with pytest.raises(DeadlineError):
            state.get("k")
        server.resume()

        assert b"v" == state.get("k")


def test_acknowledged_writes_survive_a_kill_of_a_durable_server(start_redis):
    server = start_redis(appendonly="yes", appendfsync="always")
    with open_state(server.port, retries=3) as state:
        etags = {f"k{number}": state.put(f"k{number}", b"v") for number in range(200)}
        server.kill()
        server.start()

        assert etags == {key: item.etag for key, item in state.get_items(etags).items()}


@pytest.mark.parametrize(
    "write",
    [
        lambda state: state.put("k", CANARY),
        lambda state: state.put_many({"k": CANARY, "l": CANARY}),
        lambda state: state.transact([Put("k", CANARY)]),
    ],
    ids=["put", "put many", "transact"],
)
def test_errors_never_show_values(start_redis, write):
    server = start_redis(maxmemory="1mb", maxmemory_policy="noeviction")
    with open_state(server.port, retries=0) as state, pytest.raises(ExhaustedError) as raised:
        write(state)
    shown = "".join(traceback.format_exception(raised.value)) + repr(raised.value.__cause__)

    assert CANARY.decode() not in shown


def test_the_arguments_of_an_unknown_command_are_not_shown(redis_url):
    client = connect(RedisStateSettings(url=redis_url))
    with pytest.raises(redis.ResponseError, match="unknown command 'NOSUCH'$"):
        client.call("NOSUCH", CANARY)
    (error,) = client.call_many([("NOSUCH", CANARY)])
    client.close()

    assert "unknown command 'NOSUCH'" == str(error).removeprefix("ERR ")


def test_a_call_that_outlives_its_component_leaves_no_connection_open(redis_url):
    client = connect(RedisStateSettings(url=redis_url))
    used = []

    def close(connection):
        used.append(connection)
        client.close()
        connection.disconnect()
        connection.send_command("PING")  # it connects, as that of a call that has just begun

    assert b"PONG" == client.call("PING", before_answer=close)
    assert [None] == [connection._sock for connection in used]
