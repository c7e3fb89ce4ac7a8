"""The clients, where there is no original to compare with or Capa does more."""

import threading
from dataclasses import dataclass

import pytest

from capa_apollo import ApolloClient, cloud_config
from capa_apollo.ApolloPyClient.ApolloPyClient import ApolloClient as ApolloPyClient
from capa_apollo.py3_apollo import ApolloClient as Py3Apollo
from capa_apollo.pyapollo import ApolloClient as Pyapollo
from capa_apollo.xhrg import ApolloClient as Xhrg
from capa_core import Runtime, use_runtime
from capa_core.blocks.configuration import Configuration
from capa_core.conformance._processes import Child
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import UnavailableError, UnsupportedError


@pytest.fixture(params=[Pyapollo, Xhrg, Py3Apollo, ApolloClient])
def client(request, configuration):
    return (
        request.param(app_id="app", config_url="http://x")
        if request.param is not Pyapollo
        else Pyapollo("app")
    )


@pytest.fixture
def engine_is_down(monkeypatch):
    def fail(self, *args, **kwargs):
        raise UnavailableError("nobody answers")

    monkeypatch.setattr(Configuration, "view", fail)
    monkeypatch.setattr(Configuration, "follow", fail)
    monkeypatch.setattr(Configuration, "get", fail)


def test_every_client_is_live_without_start(client, configuration):
    configuration.save({"other": "1"}, application="app")
    before = client.get_value("a", "none")
    configuration.save({"a": "1"}, application="app")

    assert ("none", "1") == (before, client.get_value("a", "none"))


def test_stop_freezes_every_client(client, configuration):
    configuration.save({"other": "1"}, application="app")
    client.get_value("a")
    client.stop()
    client.stop()
    configuration.save({"a": "1"}, application="app")

    assert client.get_value("a") is None


@pytest.mark.parametrize("kind", [Pyapollo, Xhrg, ApolloClient])
def test_start_after_stop_goes_on(kind, configuration):
    configuration.save({"other": "1"}, application="app")
    client = kind("app") if kind is not Xhrg else Xhrg("http://x", "app")
    client.start()
    client.stop()
    configuration.save({"a": "1"}, application="app")
    client.start()
    client.start()

    assert "1" == client.get_value("a")


def test_a_cluster_falls_back_to_the_default_one(configuration):
    configuration.save({"a": "default"}, application="app")
    configuration.save({"a": "blue"}, application="app", label="blue")

    assert ["default", "blue", "default"] == [
        Pyapollo("app", cluster).get_value("a") for cluster in ("default", "blue", "green")
    ]


@pytest.mark.parametrize("namespace", ["db", "db.properties"])
def test_the_suffix_properties_may_be_left_out(configuration, namespace):
    configuration.save({"a": "1"}, application="app", group="db")

    assert "1" == Pyapollo("app").get_value("a", namespace=namespace)


def test_the_address_chooses_the_component():
    settings = {
        "configuration": {
            "default": {"driver": "memory"},
            "central": {"driver": "memory", "legacy": ["http://apollo.internal:8080"]},
        }
    }
    with Runtime.in_memory(settings) as runtime, use_runtime(runtime):
        runtime.configuration("central").save({"a": "central"}, application="app")
        runtime.configuration().save({"a": "default"}, application="app")

        assert "central" == Pyapollo("app", config_server_url="http://apollo.internal:8080/").get_value("a")
        assert "default" == Pyapollo("app", config_server_url="http://elsewhere:8080").get_value("a")


def test_a_client_in_a_folder_of_files_needs_no_settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "config"
    folder.mkdir()
    folder.joinpath("application.properties").write_text("a=1\n")
    folder.joinpath("shipping.json").write_text('{"days": 3}')
    with Runtime(environ={}) as runtime, use_runtime(runtime):
        client = Pyapollo("shop", config_server_url="http://localhost:8080")
        client.start()
        seen = [client.get_value("a"), client.get_value("content", "{}", namespace="shipping.json")]
        folder.joinpath("application.properties").write_text("a=2\n")
        wait_until(lambda: client.get_value("a") == "2")

    assert ["1", '{"days": 3}'] == seen


def test_the_positional_arguments_of_xhrgs_own_client(configuration):
    told = []
    client = Xhrg(
        "http://x", "app", "blue", "secret", True, lambda *change: told.append(change), {"application": -1}
    )
    client.get_value("a")
    configuration.save({"a": "1"}, application="app", label="blue")
    wait_until(lambda: told)

    assert ([("add", "application", "a", "1")], "blue") == (told, client.cluster)


def test_xhrgs_listener_is_not_called_without_hot_update(configuration):
    told, others = [], []
    client = Xhrg(
        "http://x", "app", start_hot_update=False, change_listener=lambda *change: told.append(change)
    )
    client.get_value("a")
    configuration.watch(others.append, application="app")
    configuration.save({"a": "1"}, application="app")
    wait_until(lambda: others)

    assert ([], "1") == (told, client.get_value("a"))


def test_attributes_are_set_as_apollo_client3_does(configuration):
    class Settings:
        size = 1
        name = "x"
        untouched = "y"

        def method(self):
            """Not an attribute to set."""

    configuration.save({"size": "2", "name": "n", "method": "no"}, application="app")
    changed = []
    client = Pyapollo("app", "default", namespaces=["application"], env="DEV", cycle_time=300)
    client.watch_key_change("size", changed.append)
    client.add_listener(Settings)
    at_once = (Settings.size, Settings.name, Settings.untouched)
    configuration.save({"size": "3"}, application="app")
    wait_until(lambda: Settings.size == 3)
    configuration.save({"size": "many"}, application="app")

    assert ((2, "n", "y"), [2, 3], 3) == (at_once, changed, Settings.size)


def test_pyapollo_raises_when_nothing_can_be_read(runtime, engine_is_down):
    with pytest.raises(UnavailableError):
        Pyapollo("app").get_value("a", "default")


@pytest.mark.parametrize("make", [lambda: Xhrg("http://x", "app"), lambda: Py3Apollo("app")])
def test_the_others_return_the_default_when_nothing_can_be_read(runtime, engine_is_down, make):
    client = make()

    assert "default" == client.get_value("a", "default")
    assert client.get_json_from_net() is None


def test_no_client_has_a_thread_of_its_own(configuration):
    for group in ("application", "other"):
        configuration.save({"a": "1"}, application="app", group=group)
        configuration.view(group, application="app")
    before = set(threading.enumerate())
    clients = [Pyapollo("app") for _ in range(5)]
    for client in clients:
        client.start()
        client.get_value("a", namespace="other")

    assert set() == set(threading.enumerate()) - before


def test_the_common_client_takes_all_arguments(configuration):
    configuration.save({"other": "1"}, application="app")
    events = []
    client = ApolloClient(
        app_id="app",
        config_service_url="http://x",
        access_key_secret="s",
        client_ip="127.0.0.1",
        namespaces=["application"],
        change_listener=events.append,
    )
    configuration.save({"a": "1"}, application="app")
    wait_until(lambda: events)

    assert (["a"], "1") == (list(events[0].changes), client.get_value("a"))


def test_the_common_client_refuses_unknown_arguments(runtime):
    with pytest.raises(TypeError, match="unexpected argument 'app'"):
        ApolloClient(app="x")


def test_a_forked_child_follows_changes_by_itself(tmp_path, monkeypatch):
    @cloud_config("limits.json")
    @dataclass
    class Limits:
        most: int = 0

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "config" / "limits.json"
    path.parent.mkdir()
    path.write_text('{"most": 1}')
    with Runtime(environ={}) as runtime, use_runtime(runtime):
        limits, client = Limits(), Pyapollo("app")
        client.get_value("content", namespace="limits.json")

        def sees() -> tuple[int, str]:
            return limits.most, client.get_value("content", namespace="limits.json")

        child = Child(lambda: wait_until(lambda: sees() == (2, '{"most": 2}')))
        path.write_text('{"most": 2}')
        child.result()
        wait_until(lambda: limits.most == 2)


@pytest.mark.parametrize("original", [Py3Apollo, ApolloPyClient])
def test_a_subclass_that_reads_in_its_own_way_reads_each_value_so(original, configuration):
    class Own(original):
        def get_value_from_dict(self, ns_cache, key):
            return f"own {super().get_value_from_dict(ns_cache, key)}"

    configuration.save({"a": "x"}, application="app")
    client = Own("app", "http://x")

    assert ["own x", "own x"] == [client.get_value("a"), client.get_value("a")]


@pytest.mark.parametrize("address", ["http://apollo.internal:8080", "capa://default"])
def test_there_is_no_original_to_go_back_to(address):
    client = ApolloClient(app_id="shop", config_server_url=address)
    refused = pytest.raises(
        UnsupportedError, match="capa_apollo inherits from no original.*Available: 'capa'"
    )
    with use_runtime(Runtime.in_memory({"adapters": {"apollo": {"side": "legacy"}}})), refused:
        client.get_value("key")
