"""The log in a SQLite file, beyond the conformance suite: retention, sessions, forks."""

import pytest

from capa_core.blocks.log import Log
from capa_core.components.sqlite import _uptime
from capa_core.components.sqlite.log import SqliteLog, SqliteLogSettings
from capa_core.conformance._processes import in_children


@pytest.fixture
def driver(tmp_path):
    driver = SqliteLog(SqliteLogSettings(folder=tmp_path, partitions=1))
    yield driver
    driver.close()


def values(records):
    return [record.value for record in records]


def test_old_records_are_removed(tmp_path):
    with Log(SqliteLog(SqliteLogSettings(folder=tmp_path, partitions=1, retention_s=1e-9))) as log:
        log.append("t", b"old")
        log._driver._next_tidy = 0.0
        log.append("t", b"new")
        (bounds,) = log.bounds("t").values()

        assert (2, 2) == bounds


def test_records_within_the_retention_are_kept(driver):
    log = Log(driver)
    for _ in range(2):
        driver._next_tidy = 0.0
        log.append("t", b"x")

    assert [(0, 2)] == list(log.bounds("t").values())


def test_no_session_outlives_the_start_of_the_machine(driver, monkeypatch):
    log = Log(driver)
    log.append("t", b"x")
    before = log.consumer("t", session=3600)
    polled = values(before.poll())
    monkeypatch.setattr(_uptime, "boot", lambda: "another start of the machine")
    after = log.consumer("t", session=3600)

    assert polled == values(after.poll()) == [b"x"]


def test_parent_and_child_continue_after_a_fork(driver):
    log = Log(driver)
    log.append("t", b"parent")
    parent = log.consumer("t", "parent")
    parent.poll()

    def child(number):
        log.forget()
        log.append("t", b"child")
        with log.consumer("t", f"child {number}") as consumer:
            return values(consumer.poll())[:1]

    answers = in_children(2, child)

    assert [[b"parent"]] * 2 == answers
    assert [b"child"] * 2 == values(parent.poll())
