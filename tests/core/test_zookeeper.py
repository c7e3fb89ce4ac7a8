"""ZooKeeper: servers that are away, users, nodes of other programs, and versions that begin again."""

import os
import threading
import time
from contextlib import suppress

import pytest
from kazoo.client import KazooClient
from kazoo.protocol.states import KeeperState

from capa_core import Runtime
from capa_core.blocks.lock import Locks
from capa_core.blocks.state import Delete, Put, State
from capa_core.components.zookeeper.lock import ZookeeperLock, ZookeeperLockSettings
from capa_core.components.zookeeper.state import ZookeeperState, ZookeeperStateSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import (
    DeadlineError,
    LockLostError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)

pytestmark = [pytest.mark.server("zookeeper"), pytest.mark.timeout(120)]


def driver(**settings):
    return ZookeeperState(ZookeeperStateSettings(**settings))


def state(**settings):
    return State(driver(**settings), name="zookeeper")


@pytest.fixture
def client(zookeeper_hosts):
    """A client of another program."""
    client = KazooClient(zookeeper_hosts)
    client.start(30)
    yield client
    client.stop()
    client.close()


def test_a_server_that_is_down_is_named():
    with (
        state(hosts="127.0.0.1:9", timeout_s=0.5) as down,
        pytest.raises(DeadlineError, match=r"state 'zookeeper'.*no ZooKeeper at 127\.0\.0\.1:9"),
    ):
        down.get("k")


def test_a_killed_server_keeps_what_it_has_acknowledged_and_is_found_again(start_zookeeper):
    server = start_zookeeper()
    with state(hosts=server.hosts) as kept:
        etags = {str(number): kept.put(str(number), b"v") for number in range(20)}
        server.kill()
        server.start()

        def read():
            try:
                return kept.get_items(list(etags))
            except (UnavailableError, DeadlineError):
                return None

        wait_until(read)
        assert etags == {key: item.etag for key, item in read().items()}


def test_a_component_closes_while_its_server_is_silent(start_zookeeper):
    server = start_zookeeper()
    silent = state(hosts=server.hosts)
    silent.put("k", b"v")
    server.pause()
    started = time.monotonic()
    silent.close()
    took_s = time.monotonic() - started
    server.resume()

    assert took_s < 15


def test_an_answer_that_belongs_to_no_request_costs_the_connection_and_not_the_session(zookeeper_settings):
    with state(**zookeeper_settings) as kept:
        kept.put("k", b"v")
        client = kept.native(KazooClient)
        session, client._connection._xid = client.client_id, client._connection._xid + 1000
        with suppress(UnavailableError, DeadlineError):
            kept.get("k")
        wait_until(lambda: client.connected)

        assert (session, b"v") == (client.client_id, kept.get("k"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_session_whose_thread_an_unforeseen_error_ends_is_made_anew(zookeeper_settings, monkeypatch):
    with state(**zookeeper_settings) as kept:
        kept.put("k", b"v")
        client = kept.native(KazooClient)
        monkeypatch.setattr(client._connection, "_read_socket", "no function")
        with suppress(UnavailableError, DeadlineError):
            kept.get("k")
        wait_until(lambda: client.client_state == KeeperState.CLOSED)

        assert b"v" == kept.get("k")


def test_what_a_user_makes_is_that_users_alone(zookeeper_settings):
    with state(**zookeeper_settings, user="shop", password="secret") as own:
        own.put("k", b"v")
        assert b"v" == own.get("k")
    for given in ({}, {"user": "shop", "password": "wrong"}):
        with state(**zookeeper_settings, **given) as stranger:
            with pytest.raises(PermissionDeniedError) as caught:
                stranger.get("k")
            assert "wrong" not in str(caught.value)


def make_anew(settings):
    """Remove the node of `k` in another session, and make it anew."""
    other = driver(**settings)
    other.delete(Delete("k"))
    other.put(Put("k", b"2"))
    other.close()


def test_a_version_that_begins_again_is_not_taken_for_the_same(zookeeper_settings, client):
    one = driver(**zookeeper_settings)
    etag = one.put(Put("k", b"1"))
    first = client.get(one.path("k"))[1]
    make_anew(zookeeper_settings)
    second = client.get(one.path("k"))[1]

    assert first.version == second.version
    assert one.put(Put("k", b"3", if_etag=etag)) is None
    assert b"2" == one.get("k").value
    one.close()


def test_a_removal_between_look_and_write_is_noticed(zookeeper_settings, monkeypatch):
    one = driver(**zookeeper_settings)
    etag = one.put(Put("k", b"1"))
    counted = one._counted

    def then_made_anew(key):
        seen = counted(key)
        monkeypatch.undo()
        make_anew(zookeeper_settings)
        return seen

    monkeypatch.setattr(one, "_counted", then_made_anew)

    assert one.put(Put("k", b"3", if_etag=etag)) is None
    assert b"2" == one.get("k").value
    one.close()


def test_nodes_of_other_programs_are_passed_over(zookeeper_settings, client):
    root = zookeeper_settings["prefix"]
    with state(**zookeeper_settings) as own:
        own.put("k", b"v")
        for name in ("other", "k%zz", "k%41", "kä"):
            client.create(f"{root}/{name}", b"x")

        assert ["k"] == list(own.scan())


@pytest.mark.parametrize("prefix", ["capa", "/capa/", "//capa", ""])
def test_a_prefix_that_is_no_path_is_refused(prefix):
    with pytest.raises(ValueError, match="is no path of a node"):
        ZookeeperStateSettings(prefix=prefix)


def locks(**settings):
    return Locks(ZookeeperLock(ZookeeperLockSettings(**settings)), name="zookeeper")


def test_a_lock_that_another_program_wrote_is_held_and_named(zookeeper_settings, client):
    with locks(**zookeeper_settings) as own:
        path = f"{zookeeper_settings['prefix']}/kk"
        client.create(path, b"not a lock", makepath=True)

        assert own.try_lock("k", "me") is None
        assert b"not a lock" == client.get(path)[0]


def test_a_holder_whose_server_was_away_past_the_lease_is_told(start_zookeeper):
    server = start_zookeeper()
    with locks(hosts=server.hosts, timeout_s=1.0) as own:
        held = own.lock("k", lease=2).acquire()
        server.pause()
        assert held.lost.wait(30)
        server.resume()
        with pytest.raises(LockLostError):
            held.release()


def test_one_at_a_time_among_several_sessions(zookeeper_settings):
    inside, most = [], []

    def work(number):
        with locks(**zookeeper_settings) as own:
            for _ in range(5):
                with own.lock("k").acquire(timeout=60):
                    inside.append(number)
                    most.append(len(inside))
                    time.sleep(0.002)
                    inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [1] * 20 == most


def test_a_forked_child_has_a_session_of_its_own(zookeeper_settings):
    one = driver(**zookeeper_settings)
    one.put(Put("k", b"1"))
    pid = os.fork()
    if pid == 0:
        one.forget()
        os._exit(0 if one.put(Put("k", b"2")) and one.session.client.client_id else 1)
    _, status = os.waitpid(pid, 0)

    assert (0, b"2") == (status, one.get("k").value)
    one.close()


def test_all_blocks_through_the_runtime(zookeeper_settings, tmp_path):
    blocks = ("lock", "state", "sequencer", "configuration")
    tables = {block: {"default": {"driver": "zookeeper"} | zookeeper_settings} for block in blocks}
    tables["lock"]["default"]["prefix"] += "-locks"
    with Runtime(tables, start=tmp_path, environ={}) as runtime:
        runtime.state().put("k", b"v")
        with runtime.lock().lock("k") as held:
            assert held.token > 0
        runtime.configuration().save({"a": "1"})

        assert (1, b"v") == (runtime.sequencer().next("n"), runtime.state().get("k"))


def test_an_unknown_setting_is_refused(zookeeper_settings):
    with pytest.raises((SettingsError, ValueError), match="host"):
        ZookeeperStateSettings(**zookeeper_settings, host="x")
