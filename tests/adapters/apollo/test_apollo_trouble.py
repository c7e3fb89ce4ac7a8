"""The clients while the server is away or answers wrongly, when callbacks raise, and over stop and start."""

import gc
import os
import threading

import pytest

from capa_apollo import _namespaces
from capa_apollo.apollo_config import ApolloClient as ApolloConfigClient
from capa_apollo.apollo_python import ApolloClient as ApolloPython
from capa_apollo.apollocfg import ApolloClient as Apollocfg
from capa_apollo.ApolloPyClient.ApolloPyClient import ApolloClient as ApolloPyClient
from capa_apollo.py3_apollo import ApolloClient as Py3Apollo
from capa_apollo.pyapollo import ApolloClient as Pyapollo
from capa_apollo.xhrg import ApolloClient as Xhrg
from capa_core import Runtime, use_runtime
from capa_core.conformance._processes import Child
from capa_core.conformance._tolerance import wait_until

OPENER = "capa-apollo-open"


@pytest.fixture
def server(start_apollo, monkeypatch, tmp_path):
    """A runtime on an Apollo server; the pause between two attempts is short."""
    monkeypatch.setattr(_namespaces, "RETRY_S", 0.05)
    monkeypatch.chdir(tmp_path)
    server = start_apollo()
    (tmp_path / "capa.toml").write_text(
        f'[configuration.default]\ndriver = "apollo"\nurl = "{server.url}"\ntimeout_s = 2\n'
    )
    with Runtime(environ={}) as runtime, use_runtime(runtime):
        yield server


def _xhrg(server, told):
    return Xhrg(server.url, "app", change_listener=lambda *change: told.append(change[0::2]))


def _py3(server, told, cls=Py3Apollo):
    return cls("app", server.url, change_listener=lambda *change: told.append(change[0::2]))


def _apollo_python(server, told):
    return _py3(server, told, ApolloPython)


def _apollopyclient(server, told):
    return _py3(server, told, ApolloPyClient)


def _client3(server, told):
    class Settings:
        a = ""

    client = Pyapollo("app", config_server_url=server.url, namespaces=["application"])
    client.watch_key_change("a", lambda _new: told.append(("add", "a")))
    client.add_listener(Settings)
    return client


def _apollo_config(server, told, cls=ApolloConfigClient):
    client = cls("app", server.url)
    client.register_callback(
        lambda _, changes: told.extend((_action(one), key) for key, one in changes.items())
    )
    client.start()
    return client


def _apollocfg(server, told):
    return _apollo_config(server, told, Apollocfg)


def _action(change):
    return "add" if change["old"] is None else "update"


MAKERS = [_xhrg, _py3, _apollo_python, _apollopyclient, _client3, _apollo_config, _apollocfg]
LISTENING = pytest.mark.parametrize("make", MAKERS)


@LISTENING
def test_a_server_that_is_down_at_the_start_is_followed_when_it_comes(server, make):
    server.release("application", {"a": "x"})
    server.stop()
    told = []
    client = make(server, told)
    before = client.get_value("a", "default")
    server.start()
    wait_until(lambda: told)
    wait_until(lambda: OPENER not in {one.name for one in threading.enumerate()})

    assert ("default", "x") == (before, client.get_value("a", "default"))
    assert ("add", "a") == told[0]


@LISTENING
def test_a_server_that_dies_and_comes_back_changes_nothing_that_is_read(server, make):
    server.release("application", {"a": "x"})
    told = []
    client = make(server, told)
    client.get_value("a")
    server.stop()
    during = client.get_value("a")
    server.release("application", {"a": "y", "b": "new"})
    server.start()
    wait_until(lambda: client.get_value("a") == "y")

    assert ("x", "new") == (during, client.get_value("b"))


@pytest.mark.parametrize("how", ["500", "html", "truncated", "garbage"])
def test_wrong_answers_at_the_start_are_as_no_server(server, how):
    server.release("application", {"a": "x"})
    server.break_answers(how, of="/configs")
    told = []
    client = _apollopyclient(server, told)
    before = client.get_value("a", "default")
    server.break_answers("")
    wait_until(lambda: told)

    assert ("default", "x", ["a"]) == (before, client.get_value("a"), [key for _, key in told])


@pytest.mark.parametrize("how", ["500", "html", "truncated", "garbage"])
def test_wrong_answers_later_leave_the_values(server, how):
    server.release("application", {"a": "x"})
    told = []
    client = _xhrg(server, told)
    client.get_value("a")
    server.break_answers(how)
    server.release("application", {"a": "y"})
    during = client.get_value("a")
    server.break_answers("")
    wait_until(lambda: told)

    assert ("x", "y", [("update", "a")]) == (during, client.get_value("a"), told)


def test_a_document_that_cannot_be_parsed_is_followed_when_it_is_corrected(server, caplog):
    server.release("limits.json", '{"most": ')
    told = []
    client = ApolloPyClient(
        "app", server.url, namespaces=["limits.json"], change_listener=lambda *one: told.append(one)
    )
    before = client.get_value("most", "default", "limits.json")
    server.release("limits.json", '{"most": 3}')
    wait_until(lambda: told)

    assert ("default", [("add", "limits.json", "most", 3)]) == (before, told)
    assert "limits.json" in caplog.text


def test_a_forked_child_opens_and_follows_by_itself(server):
    server.release("application", {"a": "x"})
    server.stop()
    told = []
    client = _apollo_config(server, told)
    client.get_value("a")
    saw_first, tell = os.pipe()

    def follow():
        wait_until(lambda: client.get_value("a") == "x")
        os.write(tell, b"x")
        wait_until(lambda: (told[-1:], client.get_value("a")) == ([("update", "a")], "y"))
        return True

    child = Child(follow)
    os.close(tell)
    server.start()
    wait_until(lambda: client.get_value("a") == "x")
    os.read(saw_first, 1)  # else the first value it sees may be the second, which is no update
    os.close(saw_first)
    server.release("application", {"a": "y"})

    assert child.result()


def test_a_client_that_nobody_holds_ends_its_thread(server):
    server.stop()
    client = _py3(server, [])
    assert OPENER in {one.name for one in threading.enumerate()}
    del client
    # Not once: an attempt that is under way holds the client.
    wait_until(lambda: gc.collect() >= 0 and OPENER not in {one.name for one in threading.enumerate()})


def test_a_stopped_client_does_not_try_again_until_it_is_started(server):
    server.release("application", {"a": "x"})
    server.stop()
    client = Xhrg(server.url, "app")
    client.get_value("a")
    client.stop()
    wait_until(lambda: OPENER not in {one.name for one in threading.enumerate()})
    server.start()
    client.start()
    wait_until(lambda: client.get_value("a") == "x")


@pytest.mark.parametrize("make", [_xhrg, _py3, _apollo_python, _apollopyclient])
def test_a_listener_that_raises_is_logged_and_told_of_the_next_release(configuration, make, caplog):
    configuration.save({"a": "1"}, application="app")

    class Server:
        url = "http://x"

    class Told(list):
        def append(self, change):
            super().append(change)
            raise RuntimeError("raised by a test")

    told = Told()
    client = make(Server, told)
    client.get_value("a")
    configuration.save({"a": "2"}, application="app")
    wait_until(lambda: len(told) == 1)
    configuration.save({"a": "3"}, application="app")
    wait_until(lambda: len(told) == 2)

    wait_until(lambda: caplog.text.count("RuntimeError: raised by a test") == 2)


def test_a_listener_that_raises_keeps_no_namespace_from_being_opened(server, caplog):
    for name in ("application", "other"):
        server.release(name, {"a": "x"})
    server.stop()
    told = []

    def listener(event):
        told.append(event["namespace"])
        raise RuntimeError("raised by a test")

    client = Xhrg(server.url, "app", ["application", "other"], value_change_listeners=[listener])
    client.start()
    server.start()
    wait_until(lambda: len(told) == 2)
    wait_until(lambda: OPENER not in {one.name for one in threading.enumerate()})

    assert ["application", "other"] == sorted(told)
    assert 2 == caplog.text.count("RuntimeError: raised by a test")


def test_what_changed_between_stop_and_start_is_told_by_start(configuration):
    configuration.save({"a": "1", "gone": "1"}, application="app")
    told = []
    client = Xhrg("http://x", "app", change_listener=lambda *change: told.append(change))
    client.get_value("a")
    client.stop()
    configuration.save({"a": "2"}, application="app")
    configuration.delete(["gone"], application="app")
    client.start()
    client.start()

    assert {("update", "application", "a", "2"), ("delete", "application", "gone", "1")} == set(told)
    assert 2 == len(told)
