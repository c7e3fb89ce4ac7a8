"""Queues of another program, for fleets of which a part is still that program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from capa_core.blocks.pubsub._portable import PubSub


def in_layout(pubsub: PubSub, layout: str, options: Mapping[str, Any]) -> PubSub:
    """Return an object that receives from the queues of another program, which are on the engine of *pubsub*.

    Whatever it has open is closed with *pubsub*, whose connections it uses.

    Args:
        layout: The program, such as `celery`.
        options: Settings of that program which change its layout.

    Raises:
        UnsupportedError: The component does not know the layout, as it is configured.
        SettingsError: One of *options* has a value that cannot be.
    """
    return pubsub._in_layout(layout, options)
