"""`config_change_listener` and `Config`."""

import gc

import pytest
import structlog

from capa_apollo import ConfigChange, PropertyChangeType, config_change_listener, get_config, listeners
from capa_apollo.listeners import listen
from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import InvalidArgumentError


@pytest.fixture(autouse=True)
def no_functions_of_other_tests():
    """Forget the decorated functions of this test, which live on in reference cycles and in threads that end."""
    yield
    listeners._functions.clear()


def appending(events):
    def append(event):
        events.append(event)

    return append


def test_a_function_is_called_with_the_changes(configuration):
    events = []

    @config_change_listener("application")
    def changed(event):
        events.append(event)

    configuration.save({"a": "1"})
    wait_until(lambda: events)

    added = ConfigChange("", "application", "a", None, "1", PropertyChangeType.ADDED)
    assert ("application", {"a"}, added) == (
        events[0].namespace,
        events[0].changed_keys(),
        events[0].get_change("a"),
    )


def test_only_interesting_changes_call_it_and_with_all_changes(configuration):
    events, all_of_them = [], []
    config_change_listener(interested_keys="a, b", interested_key_prefixes=["db."])(appending(events))
    config_change_listener()(appending(all_of_them))
    for items in ({"x": "1"}, {"b": "1", "x": "2"}, {"db.host": "h"}):
        configuration.save(items)
    wait_until(lambda: len(all_of_them) == 3)

    assert [{"b", "x"}, {"db.host"}] == [event.changed_keys() for event in events]
    assert [{"b"}, {"db.host"}] == [event.interested_changed_keys() for event in events]


def test_several_namespaces_may_be_placeholders(configuration):
    configuration.save({"watched": "one, two"})
    events = []

    @config_change_listener("${watched},three.json")
    def changed(event):
        events.append((event.namespace, event.changed_keys()))

    configuration.save({"a": "1"}, group="one")
    configuration.save({"a": "1"}, group="two")
    configuration.save_document('{"a": 1}', group="three.json")
    wait_until(lambda: len(events) == 3)

    assert [("one", {"a"}), ("three.json", {"a", "content"}), ("two", {"a"})] == sorted(events)


def test_a_method_is_called_for_each_living_instance(configuration):
    told = []

    class Pool:
        def __init__(self, name):
            self.name = name

        @config_change_listener("application")
        def changed(self, event):
            told.append((self.name, event.get_change("a").new_value))

    first, gone = Pool("first"), Pool("gone")
    configuration.save({"a": "1"})
    wait_until(lambda: len(told) == 2)
    del gone
    gc.collect()
    configuration.save({"a": "2"})
    wait_until(lambda: len(told) == 3)

    assert [("first", "1"), ("gone", "1"), ("first", "2")] == told
    assert first.name == "first"


def test_a_coroutine_function_is_run(configuration):
    events = []

    @config_change_listener()
    async def changed(event):
        events.append(event)

    configuration.save({"a": "1"})
    wait_until(lambda: events)


def test_a_failing_listener_is_logged_and_the_others_are_called(configuration):
    events = []
    config_change_listener()(lambda event: 1 / 0)
    config_change_listener()(appending(events))
    with structlog.testing.capture_logs() as logs:
        configuration.save({"a": "1"})
        wait_until(lambda: events)

    assert ["error"] == [entry["log_level"] for entry in logs]


@pytest.mark.parametrize("function", [lambda: None, lambda a, b: None])
def test_a_listener_must_take_one_argument(runtime, function):
    with pytest.raises(InvalidArgumentError, match="must take one argument"):
        config_change_listener()(function)


def test_functions_listen_in_another_runtime_when_asked(configuration):
    events = []

    @config_change_listener()
    def changed(event):
        events.append(event)

    with Runtime.in_memory() as other, use_runtime(other):
        listen()
        listen()
        other.configuration().save({"a": "1"})
        wait_until(lambda: events)

    assert 1 == len(events)


def test_config_has_types(configuration):
    configuration.save({"i": " 7 ", "f": "1.5", "b": "yes", "l": "a|b", "bad": "x"})
    config = get_config()

    assert ("1.5", "d", None) == (
        config.get_property("f"),
        config.get_property("no", "d"),
        config.get_property("no"),
    )
    assert (7, 3, 4) == (
        config.get_int_property("i", 0),
        config.get_int_property("bad", 3),
        config.get_long_property("no", 4),
    )
    assert (1.5, 2.0) == (config.get_float_property("f", 0.0), config.get_double_property("bad", 2.0))
    assert (True, False) == (config.get_bool_property("b", False), config.get_boolean_property("bad", False))
    assert (["a", "b"], []) == (
        config.get_array_property("l", "|", []),
        config.get_array_property("no", ",", []),
    )
    assert {"i", "f", "b", "l", "bad"} == config.get_property_names()


def test_config_is_live_and_each_runtime_has_its_own(configuration):
    config = get_config("db")
    before = config.get_property("k")
    configuration.save({"k": "1"}, group="db")
    with Runtime.in_memory() as other, use_runtime(other):
        elsewhere = config.get_property("k")

    assert (None, None, "1") == (before, elsewhere, config.get_property("k"))


def test_config_of_a_document_has_its_text(configuration):
    configuration.save_document('{"a": 1}', group="x.json")

    assert ('{"a": 1}', "1") == (
        get_config("x.json").get_property("content"),
        get_config("x.json").get_property("a"),
    )


def test_config_takes_and_drops_listeners(configuration):
    events, others = [], []
    config = get_config()
    config.add_change_listener(events.append)
    config.add_change_listener(events.append)
    config.add_change_listener(others.append, interested_keys=["b"])
    configuration.save({"a": "1"})
    wait_until(lambda: events)
    dropped = [config.remove_change_listener(events.append), config.remove_change_listener(events.append)]
    configuration.save({"b": "1"})
    wait_until(lambda: others)

    assert (1, [True, False]) == (len(events), dropped)


def test_a_namespace_whose_placeholder_has_no_value_is_an_error(runtime):
    with pytest.raises(InvalidArgumentError, match="no value for"):
        get_config("${nowhere}").get_property("a")


def test_a_listener_whose_placeholder_has_no_value_does_not_keep_others_from_listening(
    configuration,
):
    events = []

    def lost(event):
        events.append(event)

    with pytest.raises(InvalidArgumentError, match="no value for"):
        config_change_listener("${nowhere}")(lost)
    config_change_listener("application")(appending(events))
    with use_runtime(Runtime.in_memory()), pytest.raises(InvalidArgumentError, match="no value for"):
        listen()
    configuration.save({"a": "1"})
    wait_until(lambda: events)

    assert 1 == len(events)
