"""CloudEvents: events of other programs are read, and published ones conform to the specification."""

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capa_core.blocks.pubsub import PubSub
from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings
from capa_core.errors import InvalidArgumentError

EVENT = {"specversion": "1.0", "id": "7", "source": "/others", "type": "t"}


@pytest.fixture(scope="module")
def pubsub():
    with PubSub(MemoryPubSub(MemoryPubSubSettings()), name="orders") as pubsub:
        yield pubsub


@pytest.fixture(scope="module")
def consumer(pubsub):
    return pubsub.consumer("t")


def receive(consumer):
    (message,) = consumer.receive(1)
    consumer.ack([message])
    return message


def send(pubsub, event, content_type="application/cloudevents+json"):
    pubsub.publish("t", json.dumps(event).encode(), content_type=content_type, raw=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=10,
)


@given(data=st.binary() | st.text() | JSON.filter(lambda value: not isinstance(value, str)))
def test_data_round_trips(pubsub, consumer, data):
    pubsub.publish("t", data)
    message = receive(consumer)
    arrived = {bytes: lambda: message.data, str: lambda: message.text}.get(type(data), message.json)()

    assert data == arrived


@given(body=st.binary(), kind=st.sampled_from(["application/json", "text/plain", "image/png", "a/b+json"]))
def test_bytes_of_any_type_round_trip(pubsub, consumer, body, kind):
    pubsub.publish("t", body, content_type=kind)
    message = receive(consumer)

    assert (body, kind) == (message.data, message.content_type)


@given(name=st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=20), value=st.text())
def test_extensions_round_trip(pubsub, consumer, name, value):
    if name in ("id", "data", "specversion", "datacontenttype"):
        return
    pubsub.publish("t", 1, attributes={name: value})

    assert value == receive(consumer).attributes[name]


def test_json_without_a_content_type_is_json(pubsub, consumer):
    send(pubsub, EVENT | {"data": {"a": [1]}})
    message = receive(consumer)

    assert ("7", "application/json", {"a": [1]}) == (message.id, message.content_type, message.json())


def test_an_event_may_have_no_data(pubsub, consumer):
    send(pubsub, EVENT)

    assert b"" == receive(consumer).data


def test_binary_data_is_decoded(pubsub, consumer):
    send(pubsub, EVENT | {"datacontenttype": "image/png", "data_base64": "iVA="})

    assert b"\x89P" == receive(consumer).data


def test_a_charset_in_the_content_type_is_ignored(pubsub, consumer):
    send(pubsub, EVENT | {"data": 1}, "application/cloudevents+json; charset=utf-8")

    assert 1 == receive(consumer).json()


def test_extensions_of_other_types_become_text(pubsub, consumer):
    send(pubsub, EVENT | {"sequence": 5, "flag": True, "nothing": None, "data": 1})
    attributes = receive(consumer).attributes

    assert ("5", "true", False) == (attributes["sequence"], attributes["flag"], "nothing" in attributes)


@pytest.mark.parametrize(
    "event",
    [[], "text", EVENT | {"specversion": "0.3"}, {"specversion": "1.0"}, EVENT | {"data_base64": "?"}],
    ids=str,
)
def test_a_message_that_is_not_an_event_of_version_one_is_delivered_raw(pubsub, consumer, event):
    send(pubsub, event)

    assert json.dumps(event).encode() == receive(consumer).data


@pytest.mark.parametrize("name", ["Tenant", "tenant_id", "", "id", "data", "specversion", "ü"])
def test_names_that_cloudevents_does_not_allow_are_refused(pubsub, name):
    with pytest.raises(InvalidArgumentError, match="raw=True"):
        pubsub.publish("t", 1, attributes={name: "v"})


def test_an_event_names_its_component(pubsub, consumer):
    pubsub.publish("t", 1)

    assert "/orders" == receive(consumer).attributes["source"]


@pytest.mark.parametrize("data", [float("nan"), {1, 2}, object()], ids=["nan", "set", "object"])
def test_data_without_a_json_form_is_refused(pubsub, data):
    with pytest.raises(InvalidArgumentError, match="Give bytes, text, or a value that JSON can hold"):
        pubsub.publish("t", data)


@pytest.mark.parametrize("change", [{"id": 5}, {"id": []}, {"id": None}, {"datacontenttype": 5}])
def test_an_event_whose_parts_have_other_types_is_received_as_it_is(pubsub, consumer, change):
    send(pubsub, EVENT | change)
    message = receive(consumer)

    assert EVENT | change == json.loads(message.data)
    assert (str, "application/cloudevents+json") == (type(message.id), message.content_type)
