"""Consumers that leave a queue: pika's own way rejects what comes meanwhile, which the broker counts as a delivery.

All are for the connection's thread.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any

import pika

from capa_core.components.rabbitmq._connection import Channel


def cancel(channel: Channel, name: str, answer: Future[Any]) -> None:
    """Ask the broker to send the consumer *name* no more; *answer* is set when the broker has agreed."""

    def on_answer(frame: Any) -> None:
        if not answer.done():
            answer.set_result(frame)

    channel.impl._rpc(
        pika.spec.Basic.Cancel(consumer_tag=name),
        on_answer,
        [(pika.spec.Basic.CancelOk, {"consumer_tag": name})],
    )


def clean_up(channel: Channel, names: Iterable[str]) -> None:
    """Have pika forget cancelled consumers, once nothing can come for them."""
    for name in names:
        channel.impl._cleanup_consumer_ref(name)
