"""Fixtures of the suite, and functions that its tests share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from capa_core.blocks.pubsub import Consumer, Message, PubSub
from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubDriver
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S


class Suite:
    """The fixtures of every test."""

    handed_over_within_s = SLOW_MACHINE_S
    """Seconds after which another consumer has what one gives back: a log moves the whole partition first."""

    @pytest.fixture
    def driver(self) -> Iterator[PubSubDriver[Any]]:
        """Yield the driver under test. The user's class overrides this."""
        raise NotImplementedError("override the fixture `driver` and yield a driver to test")

    @pytest.fixture
    def pubsub(self, driver: PubSubDriver[Any]) -> Iterator[PubSub]:
        """Yield the portable type over the driver."""
        pubsub = PubSub(driver, name="suite")
        yield pubsub
        pubsub.close()

    @pytest.fixture
    def topic(self) -> str:
        """Return a name that no other test uses, with characters that an engine may have to escape."""
        return f"Bestellung/{{ü}}:*?[1] 注文 {uuid4().hex[:8]}"


def outgoing(data: bytes = b"hello", **fields: Any) -> OutgoingMessage:
    """Return a message as the core passes it to a driver."""
    return OutgoingMessage(uuid4().hex, data, **fields)


def bodies(messages: list[Message]) -> list[bytes]:
    """Return the bodies in the order received."""
    return [message.data for message in messages]


def receive(consumer: Consumer, count: int, timeout_s: float = PATIENCE_S) -> list[Message]:
    """Receive until there are *count* messages or *timeout_s* is over."""
    end = time.monotonic() + timeout_s
    messages: list[Message] = []
    while len(messages) < count and (left := end - time.monotonic()) > 0:
        messages += consumer.receive(count - len(messages), left)
    return messages


def drain(consumer: Consumer, count: int = 1, *, quiet_s: float = 0.25) -> list[Message]:
    """Receive and acknowledge *count* messages, and then more until nothing has come for *quiet_s*."""
    messages = receive(consumer, count)
    consumer.ack(messages)
    while batch := consumer.receive(100, quiet_s):
        consumer.ack(batch)
        messages += batch
    return messages


def take(consumer: Consumer) -> None:
    """Receive a message and acknowledge it."""
    consumer.ack(receive(consumer, 1))


def elapsed_s(work: Callable[[], object]) -> float:
    """Call *work* and return how long it took."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def eventually(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Return whether *holds* comes true in time."""
    end = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
