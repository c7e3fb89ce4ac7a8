"""`capa bridge` as a process: it ends cleanly, is switched while it runs, and waits for an end that is away."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until

pytestmark = pytest.mark.timeout(120)
TOML = """
[pubsub.a]
driver = "sqlite"
folder = "a"

[pubsub.b]
driver = "sqlite"
folder = "b"

[bridges.orders]
from = "a:orders"
to = "b:orders"
group = "default"
"""
MANY = 300


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capa.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def runtime(folder):
    with Runtime(start=folder) as runtime:
        yield runtime


class Process:
    """A running `capa bridge`, and what it has printed so far."""

    def __init__(self, folder, *words):
        self._process = subprocess.Popen(
            [Path(sys.executable).with_name("capa"), "bridge", *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            self.lines.append(line)

    def wait_for(self, words):
        wait_until(lambda: any(words in line for line in self.lines), patience_s=40)

    def end(self, number=signal.SIGINT):
        """Send a signal and return the exit code and the last line."""
        self._process.send_signal(number)
        code = self._process.wait(40)
        self._reader.join()
        return code, self.lines[-1]

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()


@contextmanager
def running(folder, *words):
    process = Process(folder, *words)
    try:
        yield process
    finally:
        process.kill()


def bodies(pubsub, topic="orders"):
    """Return the bodies that wait for the group `default`, in their order."""
    found, after = [], ""
    while page := pubsub.peek(topic, most=1000, after=after):
        found += [message.data for message in page]
        after = page[-1].position
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_what_is_in_flight_finished(folder, runtime, number):
    a, b = runtime.pubsub("a"), runtime.pubsub("b")
    sent = [b"%d" % each for each in range(MANY)]
    with running(folder, "orders") as process:
        process.wait_for("from group")
        a.publish_many("orders", sent, raw=True)
        wait_until(lambda: b.depth("orders") > 0)
        code, last = process.end(number)
        in_flight = [group.in_flight for group in a.inspect("orders").groups]
    both = [*bodies(b), *bodies(a)]

    assert (0, [0]) == (code, in_flight)
    assert sorted(sent) == sorted(both)
    assert last.startswith("orders: ")


def test_an_interrupted_drain_ends_with_130(folder, runtime):
    (folder / "capa.toml").write_text(TOML.replace('driver = "sqlite"\nfolder = "b"', _redis_that_is_away()))
    runtime.pubsub("a").publish("orders", b"x", raw=True)
    with running(folder, "orders", "--once") as process:
        process.wait_for("waits, nothing is lost")
        code, last = process.end()

    assert 130 == code
    assert "0 moved; 1 wait" in last


def _redis_that_is_away():
    from servers._process import free_port

    return f'driver = "redis"\nurl = "redis://127.0.0.1:{free_port()}/0"'


def test_a_bridge_is_switched_off_and_on_while_it_runs_and_loses_nothing(folder, runtime):
    a, b = runtime.pubsub("a"), runtime.pubsub("b")
    stop, sent = threading.Event(), []

    def publish():
        while not stop.wait(0.005):
            sent.append(b"%d" % len(sent))
            a.publish("orders", sent[-1], raw=True)

    publisher = threading.Thread(target=publish)
    with running(folder, "--all") as process:
        process.wait_for("from group")
        publisher.start()
        wait_until(lambda: b.depth("orders") > 10)
        (folder / "capa.toml").write_text(TOML + "on = false\n")
        process.wait_for("orders: off")
        moved, at = b.depth("orders"), len(sent)
        wait_until(lambda: len(sent) > at + 50)
        still = b.depth("orders")
        (folder / "capa.toml").write_text("[broken")
        process.wait_for("the bridges run on as before")
        (folder / "capa.toml").write_text(TOML)
        wait_until(lambda: b.depth("orders") > still)
        stop.set()
        publisher.join()
        wait_until(lambda: a.depth("orders") == 0)
        code, _ = process.end()

    assert (0, moved) == (code, still)
    assert sent == bodies(b)


@pytest.mark.server("redis")
def test_a_target_that_is_away_is_waited_for_and_nothing_is_lost(folder, runtime, start_redis):
    server = start_redis(appendonly="yes", appendfsync="always")
    to_redis = f'driver = "redis"\nurl = "{server.url}"\ntimeout_s = 1\ndeadline_s = 2'
    (folder / "capa.toml").write_text(TOML.replace('driver = "sqlite"\nfolder = "b"', to_redis))
    a = runtime.pubsub("a")
    with Runtime(start=folder) as now, running(folder, "orders", "--json") as process:
        b = now.pubsub("b")
        a.publish_many("orders", [b"%d" % each for each in range(MANY)], raw=True)
        wait_until(lambda: b.depth("orders") == MANY)
        server.kill()
        a.publish_many("orders", [b"%d" % each for each in range(MANY, 2 * MANY)], raw=True)
        process.wait_for("waits, nothing is lost")
        server.start()
        process.wait_for("goes on")
        wait_until(lambda: a.depth("orders") == 0, patience_s=40)
        code, last = process.end()
        found = bodies(b)
    data = json.loads(last)

    assert (0, 0) == (code, data["exit"])
    assert [b"%d" % each for each in range(2 * MANY)] == sorted(found, key=int)
    assert 2 * MANY == data["bridges"][0]["moved"] + data["bridges"][0]["duplicates"]
