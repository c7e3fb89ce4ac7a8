"""A holder that is paused past its lease writes late. The lock cannot keep it from that; the token can.

`FencedStore` is how: what the lock protects remembers the highest token that has written to it, and refuses lower
ones. It is all that an application needs to do.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest

from capa_core.blocks.lock import Locks
from capa_core.blocks.state import State
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats.lock import NatsLock
from capa_core.components.nats.state import NatsState
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.components.postgres.lock import PostgresLock
from capa_core.components.postgres.state import PostgresState
from capa_core.components.redis.lock import RedisLock, RedisLockSettings
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.components.sqlite.lock import SqliteLock
from capa_core.components.sqlite.state import SqliteState
from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import ConflictError, LockLostError, UnavailableError

LEASE_S = 0.6
ROUNDS = 4


class FencedStore:
    """Whole numbers that refuse late writers."""

    def __init__(self, state: State) -> None:
        self._state = state

    def read(self, key: str) -> int:
        """Return the number; 0 if there is none."""
        return (self._state.get_json(key) or {"number": 0})["number"]

    def write(self, key: str, number: int, *, token: int) -> None:
        """Store *number* unless a holder of a higher token has written.

        Raises:
            LockLostError: One has. Nothing was stored.
        """
        while True:
            item = self._state.get_item(key)
            if item is not None and json.loads(item.value)["token"] > token:
                raise LockLostError(f"{key!r} was written under a later token than {token}; start again")
            try:
                # The etag closes the gap between looking at the token and writing.
                etag = item.etag if item else ""
                self._state.put_json(key, {"number": number, "token": token}, if_etag=etag)
            except ConflictError:
                continue
            return


def main(open_both: Callable[[], tuple[State, Locks]]) -> None:
    """Add one to both numbers, slowly, again and again, and tell of each step: the process that gets paused."""
    state, locks = open_both()
    fenced = FencedStore(state)
    for _ in range(ROUNDS):
        held = locks.lock("counter", lease=LEASE_S, timeout=30).acquire()
        plain, safe = int(state.get("plain") or 0), fenced.read("fenced")
        say("read")
        sys.stdin.readline()  # here it is stopped
        state.put("plain", b"%d" % (plain + 1))
        say(attempt(fenced.write, "fenced", safe + 1, token=held.token))
        say(f"lost: {held.lost.is_set()}")
        say(attempt(held.release))
        sys.stdin.readline()


def attempt(call: Callable[..., object], *args: object, **kwargs: object) -> str:
    try:
        call(*args, **kwargs)
    except LockLostError:
        return "refused"
    return "done"


def say(word: str) -> None:
    print(word, flush=True)


def sqlite(folder: str) -> tuple[State, Locks]:
    return (
        State(SqliteState(SqliteState.settings_type(folder=Path(folder)))),
        Locks(SqliteLock(SqliteLock.settings_type(folder=Path(folder)))),
    )


def redis(url: str) -> tuple[State, Locks]:
    return (
        State(RedisState(RedisStateSettings(url=url))),
        Locks(RedisLock(RedisLockSettings(url=url))),
    )


def postgres(where: str) -> tuple[State, Locks]:
    url, schema = where.split()
    settings = PostgresSettings(url=url, schema_name=schema)
    return State(PostgresState(settings)), Locks(PostgresLock(settings))


def nats(where: str) -> tuple[State, Locks]:
    url, prefix = where.split()
    settings = NatsSettings(url=url, prefix=prefix)
    return State(NatsState(settings)), Locks(NatsLock(settings))


OPEN_BOTH = {"sqlite": sqlite, "redis": redis, "postgres": postgres, "nats": nats}
ON_SERVERS = [pytest.param(name, marks=pytest.mark.server(name)) for name in ("redis", "postgres", "nats")]


@pytest.fixture(params=["sqlite", *ON_SERVERS])
def engine(request, tmp_path):
    """Give the name of an engine, and the place with which its function opens both drivers."""
    if request.param == "sqlite":
        return request.param, str(tmp_path)
    url = request.getfixturevalue(f"{request.param}_url")
    if request.param == "postgres":
        return request.param, f"{url} {request.getfixturevalue('postgres_schema')}"
    if request.param == "nats":
        return request.param, f"{url} {uuid4().hex}"
    return request.param, url


def stop(process, locks):
    """Stop *process*, but not in a transaction: on SQLite it would keep out all others."""
    while True:
        process.send_signal(signal.SIGSTOP)
        with suppress(UnavailableError):
            locks.try_lock("probe", "me", lease=LEASE_S)
            return
        process.send_signal(signal.SIGCONT)


def test_no_update_is_lost_to_a_paused_holder_with_the_token(engine):
    name, where = engine
    state, locks = OPEN_BOTH[name](where)
    fenced = FencedStore(state)
    paused = subprocess.Popen(
        [sys.executable, __file__, name, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    answers = []
    try:
        for _ in range(ROUNDS):
            assert "read\n" == paused.stdout.readline()
            stop(paused, locks)
            with locks.lock(
                "counter", timeout=PATIENCE_S
            ) as held:  # as soon as the lease of the paused one has ended
                state.put("plain", b"%d" % (int(state.get("plain") or 0) + 1))
                fenced.write("fenced", fenced.read("fenced") + 1, token=held.token)
            print(file=paused.stdin, flush=True)
            paused.send_signal(signal.SIGCONT)
            answers.append([paused.stdout.readline().strip() for _ in range(3)])
            print(file=paused.stdin, flush=True)
        paused.wait(PATIENCE_S)
    finally:
        paused.kill()
        paused.communicate()

    assert [["refused", "lost: True", "refused"]] * ROUNDS == answers
    assert ROUNDS == fenced.read("fenced"), "each of our updates, and none of the late ones"
    assert ROUNDS == int(state.get("plain")), "without the token as many late writes replaced ours"
    state.close()
    locks.close()


if __name__ == "__main__":
    engine_name, place = sys.argv[1:]
    main(lambda: OPEN_BOTH[engine_name](place))
