"""Names of topics and groups in Kafka."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capa_core.blocks.pubsub.over_log._codec import is_retry_topic, retry_topic
from capa_core.components.kafka._names import Names

NAMES = Names("")
ANY = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=255)


@given(ANY)
def test_a_listed_name_leads_to_the_same_topic(name):
    kafka = NAMES.topic(name)
    (listed,) = NAMES.topics([kafka])

    assert 1 <= len(kafka) <= 249
    assert set(kafka) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert kafka not in (".", "..")
    assert kafka == NAMES.topic(listed)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20))
def test_a_short_name_is_listed_as_it_is(name):
    assert [name] == list(NAMES.topics([NAMES.topic(name)]))


@given(ANY, ANY)
def test_two_names_are_two_topics(one, other):
    assert (one == other) == (NAMES.topic(one) == NAMES.topic(other))


@pytest.mark.parametrize("name", ["orders", "orders.v1", "orders_v1", "_u", "x" * 249])
def test_a_name_that_kafka_allows_stays(name):
    assert name == NAMES.topic(name)


@given(ANY, ANY)
def test_a_retry_topic_is_seen_to_be_one(topic, group):
    (listed,) = NAMES.topics([NAMES.topic(retry_topic(topic, group))])

    assert is_retry_topic(listed)


def test_topics_of_another_prefix_are_not_listed():
    found = ["a.t", "b.t", "t", "__consumer_offsets"]

    assert ["t"] == list(Names("a.").topics(found))
    assert ["a.t", "b.t", "t"] == list(NAMES.topics(found))


@given(ANY, ANY)
def test_the_groups_of_a_topic_are_those_of_no_other(topic, group):
    names = Names("shop.")
    kafka = names.group(topic, group)

    assert [group] == names.groups(topic, [kafka, "foreign", names.group(f"{topic}x"[-255:], group)][:2])
    assert [] == names.groups(f"{topic[:200]}.other", [kafka])
