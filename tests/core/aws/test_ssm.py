"""Parameters of SSM as configuration: secrets, pages, values that SSM refuses, writers that were killed, throttling."""

import json
import time
from uuid import uuid4

import pytest

from capa_core.blocks.configuration import Configuration, ConfigurationItem, Scope
from capa_core.call import Policy
from capa_core.components.aws import ssm
from capa_core.components.aws._errors import of_code
from capa_core.components.aws.ssm import SsmConfiguration, SsmConfigurationSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import InvalidArgumentError, UnavailableError
from capa_migration.cli import main

pytestmark = [pytest.mark.server("aws"), pytest.mark.timeout(60)]


@pytest.fixture
def path() -> str:
    return f"/{uuid4().hex}/"


@pytest.fixture
def connect(moto_url, aws_credentials, path):
    """Give a function that opens a component below the test's own path; its keywords are settings."""
    made = []

    def make(**settings) -> Configuration:
        given = {"endpoint_url": moto_url, "prefix": path, "interval_s": 0.05, **settings}
        made.append(
            Configuration(SsmConfiguration(SsmConfigurationSettings(**given)), policy=Policy(retries=0))
        )
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(aws):
    return aws("ssm")


def put(client, name, value, kind="String"):
    client.put_parameter(Name=name, Value=value, Type=kind, Overwrite=True)


def values(configuration, **scope):
    return {key: item.value for key, item in configuration.get(**scope).items()}


def test_parameters_of_an_operator_are_read(client, connect, path):
    put(client, f"{path}application/db.host", "a")
    put(client, f"{path}application/prod/db.host", "b")
    put(client, f"{path}applications/shop/application/db.host", "c")
    put(client, f"{path}limits.json", '{"most": 3}')
    configuration = connect()

    assert {"db.host": "a"} == values(configuration)
    assert {"db.host": "b"} == values(configuration, label="prod")
    assert {"db.host": "c"} == values(configuration, application="shop")
    assert {"most": "3"} == values(configuration, group="limits.json")


def test_more_keys_than_a_page_are_read_and_written(client, connect, path):
    wanted = {f"key{number}": str(number) for number in range(25)}
    configuration = connect()
    configuration.save(wanted)

    assert wanted == values(configuration)
    assert [25] == [status.items for status in configuration.inspect()]
    configuration.delete(list(wanted))
    assert {} == values(configuration)


def test_a_secure_string_is_read_and_stays_one(client, connect, path):
    put(client, f"{path}application/db.password", "old", "SecureString")
    configuration = connect()
    before = configuration.get()["db.password"]
    configuration.save({"db.password": "new"})
    now = client.get_parameter(Name=f"{path}application/db.password", WithDecryption=True)["Parameter"]

    assert ("old", True) == (before.value, before.secret)
    assert "old" not in repr(before)
    assert ("new", "SecureString") == (now["Value"], now["Type"])


def test_keys_of_a_pattern_are_created_as_secure_strings(client, connect, path):
    connect(secure=("*.password",)).save({"db.password": "x", "db.host": "y"})
    found = client.get_parameters_by_path(Path=f"{path}application")["Parameters"]

    assert {"db.password": "SecureString", "db.host": "String"} == {
        one["Name"].rpartition("/")[2]: one["Type"] for one in found
    }


def test_a_secure_string_is_masked_by_the_command(
    client, path, moto_url, aws_credentials, tmp_path, monkeypatch, capsys
):
    put(client, f"{path}application/greeting", "hush", "SecureString")
    table = f'[configuration.default]\ndriver = "ssm"\nendpoint_url = "{moto_url}"\nprefix = "{path}"\n'
    (tmp_path / "capa.toml").write_text(table)
    monkeypatch.chdir(tmp_path)
    main(["config", "get", "--json"])
    shown = capsys.readouterr().out
    main(["config", "get", "--json", "--show-secrets"])

    assert "hush" not in shown
    assert "hush" in capsys.readouterr().out
    assert json.loads(shown)


@pytest.mark.parametrize("value", ["", "{{name}}", "capa:x", 'capa:"x"'])
def test_a_value_that_ssm_refuses_is_stored_all_the_same(client, connect, path, value):
    connect().save({"a": value})
    text = client.get_parameter(Name=f"{path}application/a")["Parameter"]["Value"]

    assert value == connect().get()["a"].value
    assert text
    assert "{{" not in text


def test_a_value_that_does_not_fit_is_refused_before_anything_is_written(connect):
    configuration = connect()
    with pytest.raises(InvalidArgumentError, match="Nothing was written"):
        configuration.save({"a": "1", "b": "{{" * 2000})
    with pytest.raises(InvalidArgumentError, match="Shorten its names"):
        configuration.save({"ü" * 200: "1"})

    assert {} == values(configuration)


def test_an_equal_value_is_not_written_again(client, connect, path):
    configuration = connect()
    configuration.save({"a": "1", "b": "1"})
    configuration.save({"a": "1", "b": "2"})

    assert ["1", "2"] == [configuration.get()[key].version for key in "ab"]


def test_readers_wait_for_a_writer_and_not_for_one_that_was_killed(client, connect, path, monkeypatch):
    put(client, f"{path}application/a", "1")
    put(client, f"{path}application/-writing", "by somebody")
    configuration = connect(timeout_s=1.0)
    with pytest.raises(UnavailableError, match="-writing is there"):
        configuration.get()
    monkeypatch.setattr(ssm, "_ABANDONED_S", 1.0)
    wait_until(lambda: _reads(configuration) == {"a": "1"})
    patient = connect()
    patient.save({"a": "2", "b": "2"})

    assert {"a": "2", "b": "2"} == values(patient)
    assert {"a", "b"} == {
        one["Name"].rpartition("/")[2]
        for one in client.get_parameters_by_path(Path=f"{path}application")["Parameters"]
    }


def _reads(configuration):
    try:
        return values(configuration)
    except UnavailableError:
        return None


def test_a_watch_asks_less_often_while_it_is_refused(connect, monkeypatch):
    driver = connect()._driver
    asked, call = [], driver.connections.call

    def refuse(service, action, place="", **request):
        asked.append(time.monotonic())
        raise of_code("ThrottlingException", "Rate exceeded", action, place)

    known = {Scope(): driver.version(Scope())}
    monkeypatch.setattr(driver.connections, "call", refuse)

    assert {} == driver.watch(known, 1.0)
    assert 2 <= len(asked) <= 6  # 20 without
    monkeypatch.setattr(driver.connections, "call", call)
    connect().save({"a": "1"})
    found = {}
    wait_until(lambda: found.update(driver.watch(known, 1.0)) or found)

    assert {Scope(): driver.version(Scope())} == found


def test_a_write_that_is_refused_for_a_moment_waits_for_its_turn(connect, monkeypatch):
    driver = connect()._driver
    call, refused = driver.connections.call, []

    def refuse_once(service, action, place="", **request):
        if action == "PutParameter" and request["Overwrite"] and not refused:
            refused.append(action)
            raise of_code("ThrottlingException", "Rate exceeded", action, place)
        return call(service, action, place, **request)

    monkeypatch.setattr(driver.connections, "call", refuse_once)
    driver.save(Scope(), [ConfigurationItem("a", "1"), ConfigurationItem("b", "1")])

    assert ["PutParameter"] == refused
    assert {"a", "b"} == set(driver.get(Scope()).items)


def test_what_other_programs_keep_deeper_is_no_group(client, connect, path):
    put(client, f"{path}a/b/c/d/e/f", "1")

    assert [] == list(connect().inspect())
