"""The driver of AppConfig: tokens that serve once, intervals that are kept, and deployments that are under way."""

import pytest

from capa_core.blocks.configuration import Configuration, Scope
from capa_core.call import Policy
from capa_core.components.aws.appconfig import AppConfigConfiguration, AppConfigSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import ExhaustedError, SettingsError, UnavailableError

pytestmark = pytest.mark.server("appconfig")

START, GET = "POST /configurationsessions", "GET /configuration"


@pytest.fixture
def make(appconfig, aws_credentials):
    """Give a function that makes a driver, which asks again at once; its keywords are settings."""
    made = []
    appconfig.ignores_required = True

    def make_one(**settings) -> AppConfigConfiguration:
        given = {"application": "app", "environment": "test", "interval_s": 0.05}
        driver = AppConfigConfiguration(AppConfigSettings(endpoint_url=appconfig.url, **(given | settings)))
        made.append(driver)
        return driver

    yield make_one
    for driver in made:
        driver.close()


def values(driver, **scope):
    return {key: item.value for key, item in driver.get(Scope(**scope)).items.items()}


def test_one_session_is_asked_again_and_again(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    driver = make()

    assert [{"a": "1"}] * 3 == [values(driver) for _ in range(3)]
    assert [START, GET, GET, GET] == appconfig.calls


def test_the_interval_of_the_service_is_kept(appconfig, make):
    appconfig.interval_s = 60
    appconfig.release("application", '{"a": 1}')
    driver = make()
    driver.get(Scope())
    appconfig.release("application", '{"a": 2}')

    assert {} == driver.watch({Scope(): driver.version(Scope())}, 0.3)
    assert {"a": "1"} == values(driver)
    assert [START, GET] == appconfig.calls


def test_a_client_that_asks_too_early_keeps_its_values_and_its_session(appconfig, make):
    appconfig.ignores_required = False  # 15 s at least
    appconfig.release("application", '{"a": 1}')
    driver = make()
    driver.get(Scope())
    (session,) = driver._sessions._sessions.values()
    session.next_at = 0.0

    assert {"a": "1"} == values(driver)
    assert [START, GET, GET] == appconfig.calls


def test_after_a_token_has_expired_a_new_session_begins_with_all_content(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    driver = make()
    before = driver.version(Scope())
    appconfig.expire()

    assert before == driver.version(Scope())
    appconfig.expire()
    appconfig.release("application", '{"a": 2}')
    assert {"a": "2"} == values(driver)
    assert 3 == appconfig.calls.count(START)


def test_a_change_whose_answer_broke_off_is_not_missed(appconfig, make):
    """Its token is spent: the service takes the client for one that has the change."""
    appconfig.release("application", '{"a": 1}')
    driver = make()
    driver.get(Scope())
    appconfig.release("application", '{"a": 2}')
    appconfig.broken = "truncated"
    with pytest.raises(Exception, match="GetLatestConfiguration") as raised:
        driver.get(Scope())
    appconfig.broken = ""

    assert UnavailableError is driver.name_error(raised.value)
    assert {"a": "2"} == values(driver)
    assert {"a": "2"} == values(driver)


def test_a_throttled_call_leaves_the_session(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    driver = make()
    driver.get(Scope())
    appconfig.throttled = 1
    with pytest.raises(Exception, match="ThrottlingException") as raised:
        driver.get(Scope())

    assert ExhaustedError is driver.name_error(raised.value)
    assert {"a": "1"} == values(driver)
    assert 1 == appconfig.calls.count(START)


def test_a_web_page_in_place_of_an_answer_is_no_content(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    driver = make()
    driver.get(Scope())
    appconfig.broken = "html"
    with pytest.raises(Exception, match="is a proxy between"):
        driver.get(Scope())
    appconfig.broken = ""

    assert {"a": "1"} == values(driver)


def test_during_a_gradual_deployment_a_client_does_not_go_back(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    clients = [make() for _ in range(6)]
    seen = [[values(one)["a"]] for one in clients]
    for share in (0.25, 0.5, 0.75, 1.0):
        before = appconfig.find(("app", "test", "application"))
        if before.before is None:
            appconfig.release("application", '{"a": 2}', share=share)
        before = appconfig.find(("app", "test", "application"))
        before.share = share
        for _ in range(2):
            for one, found in zip(clients, seen, strict=True):
                found.append(values(one)["a"])

    assert [sorted(found) for found in seen] == seen
    assert {"2"} == {found[-1] for found in seen}
    assert {"1", "2"} == {found[3] for found in seen}


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        ("application/json", '{"discount": {"enabled": true}}'),
        ("application/json; charset=utf-8", '{"discount.enabled": "true"}'),
        ("application/x-yaml", "discount:\n  enabled: true\n"),
        ("text/plain", "discount.enabled = true\n"),
    ],
)
def test_the_content_type_tells_the_format_of_a_profile_without_a_suffix(
    appconfig, make, media_type, content
):
    appconfig.deploy(("app", "test", "flags"), content.encode(), media_type)

    assert {"discount.enabled": "true"} == values(make(), group="flags")


def test_content_that_is_no_text_is_refused(appconfig, make):
    appconfig.deploy(("app", "test", "application"), b"\xff\xfe\0", "application/octet-stream")

    with pytest.raises(SettingsError, match="'application' of AppConfig is no text"):
        make().get(Scope())


def test_a_label_that_is_no_environment_falls_back(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    appconfig.release("application", '{"a": 2}', environment="blue")

    assert {"a": "2"} == values(make(), label="blue")
    assert {"a": "1"} == values(make(), label="green")
    assert {} == values(make(), application="other")


def test_a_profile_that_is_removed_and_comes_back_is_seen(appconfig, make):
    appconfig.release("application", '{"a": 1}')
    with Configuration(make(), policy=Policy(retries=0)) as configuration:
        view = configuration.view()
        appconfig.deployed.clear()
        wait_until(lambda: not view)
        appconfig.release("application", '{"a": 2}')
        wait_until(lambda: view.get("a") == "2")

        assert not view.stale


def test_a_forked_child_has_sessions_of_its_own(appconfig, make):
    """A token that two processes use is refused to one of them."""
    appconfig.release("application", '{"a": 1}')
    driver = make()
    driver.get(Scope())
    driver.forget()

    assert {"a": "1"} == values(driver)
    assert [START, GET, START, GET] == appconfig.calls


def test_ping_names_what_is_missing(appconfig, make):
    driver = make()
    assert "'app' in 'test', which has no profile 'application'" in driver.ping()
    appconfig.release("application", "{}")

    assert driver.ping().endswith("'app' in 'test'")
