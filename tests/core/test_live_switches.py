"""Switches of features."""

import pytest

from capa_core import Runtime, use_runtime
from capa_core.errors import InvalidArgumentError
from capa_core.live import switch

USERS = [f"user {number}" for number in range(20_000)]


@pytest.fixture
def configuration():
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield runtime.configuration()


def share(feature):
    return sum(map(feature.on_for, USERS)) / len(USERS)


@pytest.mark.parametrize("default", [True, False])
def test_the_default_holds_until_the_key_has_a_value(configuration, default):
    feature = switch("new", default)
    assert (default, default) == (bool(feature), feature.on_for("a"))
    configuration.save({"new": "off" if default else "on"})

    assert (not default, not default) == (bool(feature), feature.on_for("a"))


@pytest.mark.parametrize("text", ["true", "ON", " yes ", "1", "100%", "100.00 %"])
def test_on(configuration, text):
    configuration.save({"new": text})

    assert (True, 1.0) == (bool(switch("new")), share(switch("new")))


@pytest.mark.parametrize("text", ["false", "Off", "no", "0", "0%"])
def test_off(configuration, text):
    configuration.save({"new": text})

    assert (False, 0.0) == (bool(switch("new", True)), share(switch("new", True)))


@pytest.mark.parametrize("percentage", [0.5, 5, 25, 99])
def test_a_percentage_is_on_for_about_that_share_and_not_for_all(configuration, percentage):
    configuration.save({"new": f"{percentage}%"})

    assert not switch("new")
    assert percentage == pytest.approx(100 * share(switch("new")), abs=1)


def test_a_key_that_is_on_stays_on_while_the_percentage_grows(configuration):
    feature, on = switch("new"), []
    for percentage in (1, 10, 50, 90):
        configuration.save({"new": f"{percentage}%"})
        on.append({user for user in USERS if feature.on_for(user)})

    assert on[0] < on[1] < on[2] < on[3]


def test_features_choose_different_keys(configuration):
    configuration.save({"a": "50%", "b": "50%"})
    both = [user for user in USERS if switch("a").on_for(user) and switch("b").on_for(user)]

    assert 0.25 == pytest.approx(len(both) / len(USERS), abs=0.02)


def test_the_choice_is_the_same_in_each_process(configuration):
    configuration.save({"new": "30%"})

    assert [True, False, False, True] == [switch("new").on_for(user) for user in ("b", "d", "f", "h")]


@pytest.mark.parametrize("text", ["", "maybe", "101%", "-1%", "1.234%", "50", "%", "\uff12\uff15%"])
def test_another_text_is_an_error_first_and_leaves_the_value_later(configuration, text):
    feature = switch("new")
    configuration.save({"new": text})
    with pytest.raises(InvalidArgumentError, match=r"switch\('new'\): neither a truth value, such as"):
        bool(feature)
    configuration.save({"new": "on"})
    assert feature
    configuration.save({"new": text})

    assert feature


def test_a_listener_hears_each_change_of_the_value_and_no_other(configuration):
    heard = []
    feature = switch("new")
    feature.watch(lambda one: heard.append(bool(one)))
    for text in ("on", "yes", "25%", "30%", "off", "on"):
        configuration.save({"new": text, "other": text})

    assert [True, False, False, False, True] == heard


def test_group_and_label_choose_the_value(configuration):
    configuration.save({"new": "on"}, group="features", label="blue")

    assert [False, True] == [bool(switch("new", group="features", label=label)) for label in ("", "blue")]
