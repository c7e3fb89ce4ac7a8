"""`capa config sync`: changes go both ways, the last write wins, and the own writes are no changes."""

import json
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import ConflictError
from capa_migration.errors import OptionsError
from capa_migration.live.sync import Journal, Seen, Side, Sync, merge
from capa_migration.live.values import MASK, Place

TOML = """
[configuration.left]
driver = "file"
path = "left"

[configuration.right]
driver = "sqlite"
folder = "right"
"""
SYNC = ("config", "sync", "--component", "left", "--with-component", "right")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capa.toml").write_text(TOML)
    (tmp_path / "left").mkdir()
    return tmp_path


@pytest.fixture
def stores(folder):
    with Runtime(start=folder) as runtime:
        yield runtime.configuration("left"), runtime.configuration("right")


@pytest.fixture
def sync(capa):
    return partial(capa, *SYNC)


@pytest.fixture
def memories(tmp_path):
    """Two groups in memory, and a function that looks at both, as a process does that ends right after."""
    with Runtime.in_memory() as one, Runtime.in_memory() as other:
        sides = Side(one.configuration(), Place()), Side(other.configuration(), Place(group="b"))

        def look(**how):
            with Journal.opened(tmp_path / "sync", sides) as journal:
                return Sync(sides, journal).step(**how)

        yield sides[0].configuration, sides[1].configuration, look


def values(configuration, **scope):
    return {key: item.value for key, item in configuration.get(**scope).items()}


def test_changes_go_both_ways(memories):
    left, right, look = memories
    left.save({"a": "1", "b": "1"})
    right.save({"c": "1"}, group="b")
    look()
    left.save({"a": "2"})
    left.delete(["b"])
    right.save({"c": "2"}, group="b")
    look()

    assert {"a": "2", "c": "2"} == values(left) == values(right, group="b")
    assert ([], []) == look().writes


@pytest.mark.parametrize("last", ["left", "right"])
def test_the_later_write_wins(memories, last):
    left, right, look = memories
    left.save({"a": "0"})
    look()
    writes = [lambda: left.save({"a": "left"}), lambda: right.save({"a": "right"}, group="b")]
    for write in writes if last == "right" else reversed(writes):
        write()
    step = look()

    assert {"a": last} == values(left) == values(right, group="b")
    assert {"a": ["left", "right"].index(last)} == step.conflicts


def test_a_value_wins_over_a_removal(memories):
    left, right, look = memories
    left.save({"a": "0"})
    look()
    right.save({"a": "1"}, group="b")
    left.delete(["a"])
    look()

    assert {"a": "1"} == values(left) == values(right, group="b")


def test_a_group_that_is_gone_as_a_whole_is_written_again():
    there, gone = Seen({"a": "1"}, {"a": 1.0}, "v"), Seen({}, {}, "")

    assert {"a": "1"} == merge({"a": "1"}, (there, gone)).values == merge({"a": "1"}, (gone, there)).values
    assert {} == merge({"a": "1"}, (there, Seen({}, {}, "w"))).values


def test_an_own_write_is_no_change_after_a_kill(memories, monkeypatch):
    """Else the copy, which was written later than what has come since, would win over it."""
    left, right, look = memories
    left.save({"a": "0"})
    look()
    left.save({"a": "older"})
    monkeypatch.setattr(Journal, "finish", killed)
    with pytest.raises(Killed):
        look()
    monkeypatch.undo()
    copied = values(right, group="b")
    left_newer = left.snapshot().version
    left.edit({"a": "newer"}, if_version=left_newer)
    look()

    assert {"a": "older"} == copied
    assert {"a": "newer"} == values(left) == values(right, group="b")


class Killed(BaseException):
    """The process ends here."""


def killed(*_):
    raise Killed


def test_a_write_in_between_is_not_overwritten(memories, monkeypatch):
    """The group is read again, and the later one wins."""
    left, right, look = memories
    left.save({"a": "0"})
    look()
    left.save({"a": "1"})
    begin = Journal.begin

    def begin_late(self, writes):
        monkeypatch.undo()
        right.save({"a": "2"}, group="b")
        begin(self, writes)

    monkeypatch.setattr(Journal, "begin", begin_late)
    look()

    assert {"a": "2"} == values(left) == values(right, group="b")


def test_a_side_that_changes_all_the_time_is_an_error(memories, monkeypatch):
    left, right, look = memories
    left.save({"a": "0"})
    begin, number = Journal.begin, iter(range(100))

    def begin_late(self, writes):
        right.save({"a": str(next(number))}, group="b")
        left.save({"a": f"left {next(number)}"})
        begin(self, writes)

    monkeypatch.setattr(Journal, "begin", begin_late)

    with pytest.raises(ConflictError):
        look()


def test_one_process_has_the_journal_and_a_damaged_one_is_refused(memories, tmp_path):
    left, right, look = memories
    sides = Side(left, Place()), Side(right, Place(group="b"))
    with (
        Journal.opened(tmp_path / "sync", sides) as journal,
        pytest.raises(OptionsError, match="end it first"),
    ):
        look()
    journal.path.write_text("{")

    with pytest.raises(OptionsError, match="is damaged"):
        look()


def test_once_makes_equal_and_tells_each_write(sync, stores):
    left, right = stores
    left.save({"a": "1", "db.password": "hunter2"})
    dry = sync("--dry-run", "--json")
    before = values(right)
    done = sync("--once")
    again = sync("--once", "--json")

    assert (1, 2, {}) == (dry[0], len(json.loads(dry[1])["writes"]), before)
    assert (0, f"right:application: a = 1\nright:application: db.password = {MASK}\n") == done[:2]
    assert (0, []) == (again[0], json.loads(again[1])["writes"])
    assert {"a": "1", "db.password": "hunter2"} == values(right)


def test_documents_are_kept_equal_as_a_whole(sync, stores):
    left, right = stores
    left.save_document('{"a": 1}', group="limits.json")
    first = sync("--once", "--group", "limits.json")
    right.save_document('{"a": 2}', group="limits.json")
    sync("--once", "--group", "limits.json")

    assert (0, 'right:limits.json: (text) = {"a": 1}\n') == first[:2]
    assert '{"a": 2}' == left.snapshot("limits.json").content


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--with-component", "left"), "both sides are left:application"),
        (("--with-group", "limits.json"), "are of different kinds"),
        (("--with-component", "nowhere"), "no [configuration.nowhere]"),
    ],
)
def test_wrong_usage_is_refused(sync, stores, words, said):
    code, _, err = sync("--once", *words)

    assert 3 == code
    assert said in err


@pytest.mark.server("redis")
def test_a_store_that_does_not_answer_ends_it_with_2(sync, folder):
    from servers._process import free_port

    away = f'driver = "redis"\nurl = "redis://127.0.0.1:{free_port()}/0"\ntimeout_s = 1\ndeadline_s = 1'
    (folder / "capa.toml").write_text(TOML.replace('driver = "sqlite"\nfolder = "right"', away))
    code, _, err = sync("--once")

    assert 2 == code
    assert "capa config sync: " in err


@pytest.mark.timeout(120)
def test_a_running_sync_follows_both_sides_and_ends_on_a_signal(folder, stores):
    left, right = stores
    left.save({"a": "1"})
    process = subprocess.Popen(
        [Path(sys.executable).with_name("capa"), *SYNC], cwd=folder, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: values(right) == {"a": "1"})
        right.save({"a": "2"})
        wait_until(lambda: values(left) == {"a": "2"})
        left.save({"b": "3"})
        wait_until(lambda: values(right) == {"a": "2", "b": "3"})
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=40)
    finally:
        process.kill()
        process.wait()

    assert 0 == process.returncode
    assert "right:application: b = 3" in out


def test_an_apollo_server_and_a_file_are_kept_equal(sync, folder, apollo):
    url = apollo.url
    portal = f'driver = "apollo"\nurl = "{url}"\napp_id = "app"\nportal = "{url}"\ntoken = "{apollo.token}"'
    (folder / "capa.toml").write_text(TOML.replace('driver = "sqlite"\nfolder = "right"', portal))
    apollo.release("application", {"a": "1"})
    sync("--once")
    (folder / "left" / "application.properties").write_text("a=2\nb=1\n")
    code, _, err = sync("--once")
    with Runtime(start=folder) as runtime:
        found = values(runtime.configuration("right"))

    assert (0, "") == (code, err)
    assert {"a": "2", "b": "1"} == found
