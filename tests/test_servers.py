"""The servers that tests get: alone in their database, and to be broken at will."""

import subprocess
import sys
from pathlib import Path

import pytest
import redis
from servers._program import Program

CONFORMANCE = Path(__file__).with_name("conformance")


@pytest.mark.server("redis")
def test_a_database_is_empty_and_no_other_tests(redis_url, redis_server):
    with redis.Redis.from_url(redis_url) as client:
        held = client.dbsize()

    assert held == 0
    assert redis_url != redis_server.url


@pytest.mark.server("redis")
def test_a_killed_durable_server_keeps_acknowledged_writes(start_redis):
    server = start_redis(appendonly="yes", appendfsync="always")
    with redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
        server.kill()
        server.start()
        held = client.get("key")

    assert held == b"value"


@pytest.mark.server("redis")
def test_a_paused_server_answers_once_it_is_resumed(start_redis):
    server = start_redis()
    with redis.Redis.from_url(server.url, socket_timeout=0.2, retry=None) as client:
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        answer = client.ping()

    assert answer is True


def test_a_missing_server_skips_at_a_desk_and_names_the_command_to_install_it(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    missing = Program("nosuch", "nosuch-server", install="apt-get install nosuch")

    with pytest.raises(pytest.skip.Exception, match="nosuch is not installed here: apt-get install nosuch"):
        missing.require()


def test_a_missing_server_fails_in_ci(monkeypatch):
    monkeypatch.setenv("CI", "true")
    missing = Program("nosuch", "nosuch-server", install="apt-get install nosuch")

    with pytest.raises(pytest.fail.Exception, match="in CI every server must be there"):
        missing.require()


@pytest.mark.parametrize(("part", "engine"), [("usual", "sqlite"), ("further", "redis")])
def test_each_part_of_the_tests_has_those_of_its_servers(part, engine):
    lock_tests = [CONFORMANCE / f"test_{name}_lock.py" for name in ("sqlite", "redis")]
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"--servers={part}", *lock_tests]
    listed = subprocess.run(collect, capture_output=True, text=True, check=True).stdout.splitlines()

    assert {f"tests/conformance/test_{engine}_lock.py"} == {
        line.partition("::")[0] for line in listed if "::" in line
    }


def test_no_items_are_made_of_a_class_that_is_of_the_other_part():
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--servers=usual"]
    done = subprocess.run([*collect, CONFORMANCE / "test_redis_lock.py"], capture_output=True, text=True)

    assert "no tests collected in" in done.stdout  # and not: "(… deselected) in"
