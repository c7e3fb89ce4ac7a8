"""The Nacos driver, against the test server: places, users, the long poll, and writers at the same time."""

import threading

import pytest
from servers._process import free_port

from capa_core.blocks.configuration import Configuration, ConfigurationItem, Scope
from capa_core.call import Policy
from capa_core.components.nacos._poll import Place
from capa_core.components.nacos.configuration import NacosConfiguration, NacosConfigurationSettings
from capa_core.conformance._tolerance import PATIENCE_S, wait_until
from capa_core.errors import (
    ConflictError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)

pytestmark = pytest.mark.server("nacos")
HOME = Scope()
LISTEN = "POST /cs/configs/listener"


@pytest.fixture
def connect(nacos):
    """Give a function that makes a driver; its keywords are settings."""
    made = []

    def make(**settings) -> NacosConfiguration:
        given = {"url": nacos.url, "timeout_s": 2.0, **settings}
        made.append(NacosConfiguration(NacosConfigurationSettings(**given)))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


def values(driver, **scope):
    return {key: item.value for key, item in driver.get(Scope(**scope)).items.items()}


def test_texts_of_an_operator_are_read(nacos, connect):
    nacos.release("application", "a = 1\n")
    nacos.release("application", "a = 2\n", group="shop")
    nacos.release("application", "a = 3\n", tenant="blue")
    nacos.release("limits.yaml", "most: 3\n")
    driver = connect()

    assert [{"a": "1"}, {"a": "2"}, {"a": "3"}] == [
        values(driver),
        values(driver, application="shop"),
        values(driver, label="blue"),
    ]
    assert {"a": "2"} == values(driver, application="shop", label="green")
    assert {"most": "3"} == values(driver, group="limits.yaml")


def test_namespace_and_group_of_the_settings_are_those_of_plain_groups(nacos, connect):
    nacos.release("application", "a = 1\n", group="SHOP", tenant="prod")
    driver = connect(namespace="prod", group="SHOP")

    assert {"a": "1"} == values(driver)
    assert [HOME] == [status.scope for status in driver.inspect()]


def test_a_user_signs_in_once_and_again_when_the_token_is_refused(nacos, connect):
    nacos.password = "secret"
    nacos.release("application", "a = 1\n")
    driver = connect(username="nacos", password="secret")
    assert [{"a": "1"}] * 2 == [values(driver), values(driver)]
    assert 1 == nacos.seen.count("POST /auth/login")
    nacos.tokens.clear()

    assert {"a": "1"} == values(driver)
    assert 2 == nacos.seen.count("POST /auth/login")


def test_a_watch_goes_on_after_its_token_has_expired(nacos, connect):
    nacos.password = "secret"
    nacos.release("application", "a = 1\n")
    driver = connect(username="nacos", password="secret")
    known = {HOME: driver.version(HOME)}
    nacos.tokens.clear()
    change = threading.Timer(0.3, nacos.release, ("application", "a = 2\n"))
    change.start()
    found = driver.watch(known, PATIENCE_S)
    change.join()

    assert {HOME: driver.version(HOME)} == found


@pytest.mark.parametrize("given", [{}, {"username": "nacos", "password": "wrong"}])
def test_a_stranger_is_refused(nacos, connect, given):
    nacos.password = "secret"

    with pytest.raises(PermissionDeniedError, match="Correct `username` and `password`"):
        connect(**given).get(HOME)


def test_one_poll_is_held_over_many_watches(nacos, connect):
    nacos.release("application", "a = 1\n")
    driver = connect()
    known = {HOME: driver.version(HOME)}

    assert [{}] * 4 == [driver.watch(known, 0.1) for _ in range(4)]
    assert 1 == nacos.seen.count(LISTEN)


def test_a_new_scope_has_a_new_poll(nacos, connect):
    driver = connect()
    driver.watch({HOME: ""}, 0.1)
    both = {HOME: "", Scope(group="other"): ""}
    driver.watch(both, 0.1)
    nacos.release("other", "a = 1\n")

    assert {Scope(group="other"): driver.version(Scope(group="other"))} == driver.watch(both, PATIENCE_S)


def test_a_poll_that_ends_without_news_is_sent_again(nacos, connect):
    nacos.hold_s = 0.2
    nacos.release("application", "a = 1\n")
    driver = connect()

    assert {} == driver.watch({HOME: driver.version(HOME)}, 1.0)
    assert nacos.seen.count(LISTEN) >= 2


def test_a_label_that_comes_into_being_is_news(nacos, connect):
    nacos.release("application", "a = 1\n")
    driver, blue = connect(), Scope(label="blue")
    known = {blue: driver.version(blue)}
    nacos.release("application", "a = 2\n", tenant="blue")

    assert {blue: driver.version(blue)} == driver.watch(known, PATIENCE_S)
    assert {"a": "2"} == values(driver, label="blue")


def test_a_write_waits_until_the_server_shows_it(nacos, connect):
    nacos.lag_s = 0.3
    driver = connect()
    driver.save(HOME, [ConfigurationItem("a", "1")])

    assert {"a": "1"} == values(driver)


def test_two_writers_lose_nothing(nacos, connect):
    nacos.release("application", "a = 1\n")
    first, second = connect(), connect()

    def write(driver, name):
        for number in range(10):
            driver.save(HOME, [ConfigurationItem(f"{name}{number}", "x")])

    threads = [threading.Thread(target=write, args=args) for args in ((first, "f"), (second, "s"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"a"} | {f"{name}{number}" for name in "fs" for number in range(10)} == set(values(first))


def test_a_text_that_was_changed_meanwhile_is_not_overwritten(nacos, connect):
    nacos.release("application", "a = 1\n")
    driver = connect()
    place = Place("application", "DEFAULT_GROUP", "")
    before = driver._read(place)
    nacos.release("application", "a = 2\n")

    with pytest.raises(ConflictError):
        driver._publish(place, "a = 3\n", before)
    assert {"a": "2"} == values(driver)


def test_comments_stay_and_a_group_without_keys_is_removed(nacos, connect):
    nacos.release("application", "# ours\na = 1\n")
    driver = connect()
    driver.save(HOME, [ConfigurationItem("b", "2")])
    assert nacos.texts["application", "DEFAULT_GROUP", ""].startswith("# ours\n")
    driver.save_document(Scope(group="x.json"), '{"a": 1}')
    driver.save(Scope(group="only"), [ConfigurationItem("a", "1")])
    driver.delete(Scope(group="only"), ["a"])

    assert {"application", "x.json"} == {place[0] for place in nacos.texts}


def test_names_that_nacos_does_not_take_are_refused(connect):
    for scope in (Scope(group="a b"), Scope(label="ü"), Scope("x" * 129)):
        with pytest.raises(InvalidArgumentError, match="names in Nacos are letters"):
            connect().get(scope)


def test_a_malformed_text_is_told_with_its_name(nacos, connect):
    nacos.release("x.json", "{")

    with pytest.raises(SettingsError, match=r"dataId 'x.json'"):
        connect().get(Scope(group="x.json"))


def test_another_context_path_is_no_missing_text(nacos, connect):
    with pytest.raises(UnavailableError, match="context path"):
        connect(url=nacos.url.removesuffix("/nacos") + "/other").get(HOME)


def test_an_empty_answer_is_no_text_of_nacos(nacos, connect):
    """A poll has one where nothing has changed; a text is never empty."""
    nacos.release("application", "a = 1\n")
    driver = connect()
    nacos.broken = "nothing"

    with pytest.raises(UnavailableError, match="not Nacos's"):
        driver.get(HOME)


@pytest.mark.parametrize("how", ["500", "html", "truncated", "404", "302"])
def test_a_change_that_is_made_while_answers_are_wrong_arrives(nacos, connect, how):
    nacos.hold_s = 0.1
    nacos.release("application", "a = 1\n")
    with Configuration(connect(), policy=Policy(retries=0), poll_s=0.05) as configuration:
        view = configuration.view()
        nacos.broken = how
        nacos.release("application", "a = 2\n")
        wait_until(lambda: view.stale)
        assert "1" == view["a"]
        nacos.broken = ""
        wait_until(lambda: view["a"] == "2")
        wait_until(lambda: not view.stale)


def test_the_first_server_that_can_be_reached_answers(nacos, connect):
    nacos.release("application", "a = 1\n")

    assert {"a": "1"} == values(connect(url=[f"http://127.0.0.1:{free_port()}/nacos", nacos.url]))
