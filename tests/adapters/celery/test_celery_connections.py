"""Connections of the application: a message that was got is leased for as long as its channel is open."""

import gc
from typing import Any

import pytest
from kombu.exceptions import ChannelError

from capa_celery import _transport
from capa_core import default_runtime
from capa_core.conformance._pubsub.suite import eventually

GROUP = "celery"


@pytest.fixture(autouse=True)
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_transport, "LEASE_S", 1.0)


def depth() -> int:
    return default_runtime().pubsub("celery").depth("letters", GROUP)


def others() -> Any:
    return default_runtime().pubsub("celery").consumer("letters", GROUP, raw=True)


def test_a_message_stays_with_an_open_channel_and_is_acknowledged_late(memory_app: Any) -> None:
    with memory_app.connection() as connection, connection.SimpleQueue("letters") as queue:
        queue.put("hello")
        message = queue.get(timeout=5)
        seen = others().receive(1, 2.5)
        message.ack()

        assert [] == seen
        assert 0 == depth()


def test_a_message_that_was_not_acknowledged_comes_again_when_the_channel_is_closed(memory_app: Any) -> None:
    with memory_app.connection() as connection, connection.SimpleQueue("letters") as queue:
        queue.put("hello")
        queue.get(timeout=5)

    assert 1 == len(others().receive(1, 1))


def test_a_message_of_a_channel_that_was_dropped_comes_again(memory_app: Any) -> None:
    connection = memory_app.connection()
    channel = connection.default_channel
    connection.SimpleQueue("letters", channel=channel).put("hello")
    channel._get("letters", timeout=5)
    del channel, connection
    gc.collect()

    assert eventually(lambda: 1 == len(others().receive(1, 0.2)), 10)


def test_a_rejected_message_comes_again_or_is_gone(memory_app: Any) -> None:
    with memory_app.connection() as connection, connection.SimpleQueue("letters") as queue:
        queue.put("hello")
        queue.get(timeout=5).requeue()
        again = queue.get(timeout=5)
        again.reject()

        assert "hello" == again.payload
        assert 0 == depth()


@pytest.mark.parametrize("name", ["", "x" * 300])
@pytest.mark.parametrize(
    "use",
    [
        lambda channel, name: channel.Producer().publish({}, routing_key=name),
        lambda channel, name: channel.basic_get(name),
        lambda channel, name: channel.queue_purge(name),
        lambda channel, name: channel._size(name),
    ],
    ids=["publish", "get", "purge", "size"],
)
def test_a_queue_name_that_is_refused_is_an_error_of_kombu(memory_app: Any, use: Any, name: str) -> None:
    with memory_app.connection() as connection, pytest.raises(ChannelError, match="255"):
        use(connection.default_channel, name)
