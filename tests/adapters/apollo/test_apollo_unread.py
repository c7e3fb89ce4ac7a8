"""Values that were left behind: each client raises or logs as its original does without a server, and doctor tells."""

import json
import logging
from dataclasses import dataclass

import pytest

from capa_apollo import ApolloClient, cloud_config, config_change_listener, get_config, value
from capa_apollo.py3_apollo import ApolloClient as Py3Apollo
from capa_apollo.pyapollo import ApolloClient as Pyapollo
from capa_apollo.xhrg import ApolloClient as Xhrg
from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import CapaError, NotFoundError, UnavailableError
from capa_core.shims.unread import unread
from capa_migration.cli import main

URL = "http://apollo.internal:8080"
PULL = f"capa config pull --from-apollo {URL} --app-id shop --namespace application"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A runtime on the embedded default, in a folder without any values."""
    monkeypatch.chdir(tmp_path)
    with Runtime(environ={}) as runtime, use_runtime(runtime):
        yield tmp_path


@pytest.fixture
def errors(caplog):
    """The lines that the adapter logs as errors."""

    def read():
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "capa_apollo" and record.levelno >= logging.ERROR
        ]

    return read


@pytest.mark.parametrize(
    "read",
    [
        lambda: Pyapollo("shop", config_server_url=URL).start(),
        lambda: Pyapollo("shop", config_server_url=URL).get_value("a", "default"),
        lambda: ApolloClient("shop", config_url=URL, namespaces=["application"]),
        lambda: ApolloClient("shop", config_url=URL).get_value("a", "default"),
    ],
)
def test_clients_that_raised_without_a_server_raise_without_values(folder, read):
    with pytest.raises(NotFoundError) as raised:
        read()

    said = str(raised.value)
    assert said.startswith("Apollo namespace 'application' of app 'shop' in cluster 'default' does not exist")
    assert f"files in {folder}/config, which does not exist yet" in said
    assert f"`{PULL}`" in said


@pytest.mark.parametrize(
    "make",
    [
        lambda: Xhrg(URL, "shop"),
        lambda: Xhrg(URL, "shop", ["application"], auto_update_enabled=True),
        lambda: Py3Apollo("shop", URL),
        lambda: Py3Apollo("shop", URL, need_hot_update=False),
    ],
)
def test_clients_that_logged_without_a_server_log_once_for_each_namespace(folder, errors, make):
    client = make()
    seen = [client.get_value(key, "default") for key in ("a", "b")]
    client.get_value("a", "default", namespace="other")
    client.get_json_from_net()

    assert ["default", "default"] == seen
    application, other = errors()
    assert "Apollo namespace 'application' of app 'shop' in cluster 'default' does not exist" in application
    assert PULL in application
    assert "namespace 'other'" in other


@pytest.mark.parametrize("make", [lambda: Xhrg(URL, "shop"), lambda: Py3Apollo("shop", URL)])
def test_an_engine_that_does_not_answer_is_logged_once(runtime, monkeypatch, errors, make):
    def fail(*args, **kwargs):
        raise UnavailableError("nobody answers")

    for name in ("view", "get"):
        monkeypatch.setattr(type(runtime.configuration()), name, fail)
    client = make()
    for _ in range(3):
        client.get_value("a", "default")

    (line,) = errors()
    assert "cannot be read: nobody answers" in line


def _class_attribute():
    class Orders:
        timeout_s: float = value("${timeout:2.5}")

    return Orders().timeout_s


def _live_class():
    @cloud_config("application")
    @dataclass
    class Limits:
        most: int = 10

    return Limits().most


def _listener():
    @config_change_listener("application")
    def changed(event):
        del event


@pytest.mark.parametrize(
    "read", [lambda: get_config().get_property("a", "default"), _class_attribute, _live_class, _listener]
)
def test_decorators_log_once_as_apollos_java_client_does(folder, errors, read):
    read()
    read()

    (line,) = errors()
    assert "Apollo namespace 'application' in cluster 'default' does not exist" in line
    assert "capa config pull --from-apollo URL --app-id APP --namespace application" in line


def test_an_empty_namespace_that_exists_is_no_error(folder, errors):
    (folder / "config").mkdir()
    (folder / "config" / "application.properties").touch()
    Pyapollo("shop", config_server_url=URL).start()

    assert "default" == Xhrg(URL, "shop").get_value("a", "default")
    assert [] == errors()


def test_values_that_arrive_later_are_read(folder):
    client, strict = Xhrg(URL, "shop"), Pyapollo("shop")
    client.get_value("a")
    with pytest.raises(NotFoundError):
        strict.get_value("a")
    (folder / "config").mkdir()
    (folder / "config" / "application.properties").write_text("a=1\n")
    wait_until(lambda: client.get_value("a") == "1")

    assert "1" == strict.get_value("a")


def test_a_password_in_the_address_is_not_shown(folder, errors):
    Xhrg("http://user:hunter2@apollo.internal:8080", "shop").get_value("a")

    (line,) = errors()
    assert "hunter2" not in line
    assert PULL in line


def test_wrong_settings_are_no_reason_for_defaults(folder):
    (folder / "capa.toml").write_text('[configuration.default]\ndriver = "fil"\n')

    with Runtime(environ={}) as runtime, use_runtime(runtime), pytest.raises(CapaError, match="'fil'"):
        Xhrg(URL, "shop").get_value("a", "default")


class TestDoctor:
    def test_namespaces_without_values_are_listed_and_fail(self, folder, capsys):
        Xhrg(URL, "shop", "blue").get_value("a", "default")
        code = main(["doctor"])

        out = capsys.readouterr().out
        assert 2 == code
        assert "group 'application' of application 'shop' of label 'blue'" in out
        assert (
            f"capa config pull --from-apollo {URL} --app-id shop --cluster blue --namespace application"
            in out
        )

    def test_they_are_data_too(self, folder, capsys):
        Xhrg(URL, "shop").get_value("a", "default")
        main(["doctor", "--json"])

        (one,) = json.loads(capsys.readouterr().out)["unread"]
        assert ("apollo", "default", "shop", "application", PULL) == (
            *(one[key] for key in ("sdk", "component", "application", "group", "next_step")),
        )

    def test_values_that_have_come_are_not_listed(self, folder, capsys):
        Xhrg(URL, "shop").get_value("a", "default")
        (folder / "config").mkdir()
        (folder / "config" / "application.properties").write_text("a=1\n")
        code = main(["doctor", "--json"])

        assert (0, []) == (code, json.loads(capsys.readouterr().out)["unread"])

    def test_the_note_goes_when_the_values_are_read(self, folder):
        Xhrg(URL, "shop").get_value("a", "default")
        notes = folder / ".capa" / "unread"
        before = len(list(notes.iterdir()))
        (folder / "config").mkdir()
        (folder / "config" / "application.properties").write_text("a=1\n")
        with Runtime(environ={}) as later, use_runtime(later):
            Xhrg(URL, "shop").get_value("a")
            seen = unread(later)

        assert (1, 0, []) == (before, len(list(notes.iterdir())), seen)

    def test_notes_are_the_owners_alone(self, folder):
        Xhrg(URL, "shop").get_value("a", "default")
        notes = folder / ".capa" / "unread"
        modes = [path.stat().st_mode & 0o777 for path in (folder / ".capa", notes, *notes.iterdir())]

        assert [0o700, 0o700, 0o600] == modes

    def test_a_disk_that_cannot_be_written_ends_no_program(self, folder, errors):
        (folder / ".capa").write_text("not a folder")

        assert "default" == Xhrg(URL, "shop").get_value("a", "default")
        assert 1 == len(errors())

    def test_a_damaged_note_is_passed_over(self, folder):
        notes = folder / ".capa" / "unread"
        notes.mkdir(parents=True)
        (notes / "x.json").write_text("{")
        with Runtime(environ={}) as runtime:
            assert [] == unread(runtime)


class TestOnAnApolloServer:
    """The component is the server itself, whose answer is that which the original would get."""

    @pytest.fixture
    def server(self, apollo, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        text = f'[configuration.default]\ndriver = "apollo"\nurl = "{apollo.url}"\nretries = 0\n'
        (tmp_path / "capa.toml").write_text(text)
        with Runtime(environ={}) as runtime, use_runtime(runtime):
            yield apollo

    def test_a_namespace_without_a_release_is_logged_and_default(self, server, errors):
        client = Pyapollo("shop", config_server_url=server.url)
        client.start()

        assert "default" == client.get_value("a", "default")
        assert 1 == len(errors())

    def test_a_server_that_is_down_is_an_error(self, server):
        server.stop()

        with pytest.raises(UnavailableError, match="cannot connect"):
            Pyapollo("shop", config_server_url=server.url).start()

    def test_decorators_change_with_a_release(self, server):
        class Orders:
            timeout_s: float = value("${timeout:2.5}")

        before = Orders().timeout_s
        server.release("application", {"timeout": "7"}, app="ApolloNoAppIdPlaceHolder")
        wait_until(lambda: Orders().timeout_s == 7)

        assert 2.5 == before
