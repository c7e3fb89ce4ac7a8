"""Drivers over a driver: what they publish goes to its topics, within its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubDriver, PubSubLimits
from capa_core.driver import DriverOver
from capa_core.errors import CapaError

UnderT = TypeVar("UnderT", bound=PubSubDriver[Any])


class PubSubOver(DriverOver[Any], PubSubDriver[Any], Generic[UnderT]):
    """A driver over another one."""

    def __init__(self, under: UnderT) -> None:
        super().__init__(under.settings)
        self._under = under

    @property
    def under(self) -> UnderT:
        """See `DriverOver.under`."""
        return self._under

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`."""
        return self._under.limits

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """Publish to a topic of the driver below: see `PubSubDriver.publish`."""
        return self._under.publish(topic, messages)


class LayoutOver(PubSubOver[UnderT]):
    """Queues in another layout on the connections of a driver: see `PubSubDriver.in_layout`."""

    def close(self) -> None:
        """Leave the connections open: the driver below owns them."""

    def forget(self) -> None:
        """Leave the connections to the driver below, which drops them itself."""
