"""The QConfig driver, against the test server: profiles, tokens, and the long poll."""

import pytest

from capa_core.blocks.configuration import Configuration, Scope
from capa_core.call import Policy
from capa_core.components.qconfig.configuration import QConfigConfiguration, QConfigSettings
from capa_core.conformance._tolerance import PATIENCE_S, wait_until
from capa_core.errors import InvalidArgumentError, PermissionDeniedError, UnavailableError

pytestmark = pytest.mark.server("qconfig")
HOME = Scope()
POLL = "POST /client/longPollingCheckupdatev2"


@pytest.fixture
def connect(qconfig):
    """Give a function that makes a driver; its keywords are settings."""
    made = []

    def make(**settings) -> QConfigConfiguration:
        given = {"url": qconfig.url, "application": "app", "env": "prod", "timeout_s": 2.0, **settings}
        made.append(QConfigConfiguration(QConfigSettings(**given)))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


def values(driver, **scope):
    return {key: item.value for key, item in driver.get(Scope(**scope)).items.items()}


def test_the_server_falls_back_to_the_whole_environment(qconfig, connect):
    qconfig.release("application.properties", "a = 1\n")
    qconfig.release("limits.json", '{"most": 3}')
    driver = connect(sub_env="blue")
    assert ({"a": "1"}, {"most": "3"}) == (values(driver), values(driver, group="limits.json"))
    known = {HOME: driver.version(HOME)}
    qconfig.release("application.properties", "a = 2\n", profile="prod:blue")

    assert {HOME: driver.version(HOME)} == driver.watch(known, PATIENCE_S)
    assert {"a": "2"} == values(driver)


def test_a_file_that_is_removed_is_gone(qconfig, connect):
    qconfig.release("application.properties", "a = 1\n")
    driver = connect()
    known = {HOME: driver.version(HOME)}
    with qconfig.changed:
        qconfig.files.clear()
        qconfig.changed.notify_all()

    assert {HOME: ""} == driver.watch(known, PATIENCE_S)
    assert {} == values(driver)


def test_one_poll_is_held_over_many_watches(qconfig, connect):
    qconfig.release("application.properties", "a = 1\n")
    driver = connect()
    known = {HOME: driver.version(HOME)}

    assert [{}] * 4 == [driver.watch(known, 0.1) for _ in range(4)]
    assert 1 == qconfig.seen.count(POLL)


def test_a_file_that_changes_between_its_version_and_its_text_is_read_again(qconfig, connect, monkeypatch):
    qconfig.release("application.properties", "a = 1\n")
    driver = connect()
    load, late = driver._servers.load, ["a = 2\n"]

    def load_late(file, version):
        if late:
            qconfig.release("application.properties", late.pop())
        return load(file, version)

    monkeypatch.setattr(driver._servers, "load", load_late)

    assert {"a": "2"} == values(driver)


def test_a_version_without_a_text_is_no_missing_file(qconfig, connect, monkeypatch):
    qconfig.release("application.properties", "a = 1\n")
    driver = connect()
    monkeypatch.setattr(driver._servers, "load", lambda file, version: None)

    with pytest.raises(UnavailableError, match="does not have version 1 of 'application.properties'"):
        driver.get(HOME)


def test_a_wrong_token_is_refused(qconfig, connect):
    qconfig.token = "secret"
    qconfig.release("application.properties", "a = 1\n")

    assert {"a": "1"} == values(connect(token="secret"))
    with pytest.raises(PermissionDeniedError, match="Correct `token`"):
        connect(token="other").get(HOME)


def test_a_name_with_a_comma_is_refused(connect):
    with pytest.raises(InvalidArgumentError, match="no names with"):
        connect().get(Scope(group="a,b"))


@pytest.mark.parametrize("how", ["500", "html", "nothing", "401", "429", "302"])
def test_a_change_that_is_made_while_answers_are_wrong_arrives(qconfig, connect, how):
    qconfig.hold_s = 0.1
    qconfig.release("application.properties", "a = 1\n")
    with Configuration(connect(), policy=Policy(retries=0), poll_s=0.05) as configuration:
        view = configuration.view()
        qconfig.broken = how
        qconfig.release("application.properties", "a = 2\n")
        wait_until(lambda: view.stale)
        assert "1" == view["a"]
        qconfig.broken = ""
        wait_until(lambda: view["a"] == "2")
        wait_until(lambda: not view.stale)
