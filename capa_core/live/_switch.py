"""`switch`: features that configuration turns on and off, for all or for a percentage of keys."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from capa_core.errors import InvalidArgumentError
from capa_core.live._convert import convert
from capa_core.live._live import Live
from capa_core.live._sources import GroupSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

_BUCKETS = 10_000
"""Steps of a percentage: one hundredth of a percent each."""

_PERCENTAGE = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,2})?) ?%", re.ASCII)


class Switch:
    """A feature that is on, off, or on for a percentage of keys; live. See `switch`."""

    ready: int

    def __init__(self, key: str, default: bool, source: Callable[[Runtime], GroupSource]) -> None:
        self.key = key
        self._default = default
        self._share: Live[int] = Live(lambda runtime: [source(runtime)], self._read, shown_by=self)

    def __bool__(self) -> bool:
        """Return whether the feature is on for all; a percentage below 100 is not."""
        try:
            return self.ready == _BUCKETS  # without a call, as in `Value`
        except AttributeError:
            return self._share.get() == _BUCKETS

    def on_for(self, one: str) -> bool:
        """Return whether the feature is on for *one*, such as the id of a user.

        The answer for one and the same text is the same in each process, and stays on while the percentage grows. Each
        feature has another order, so that not the same ones are the first everywhere.
        """
        try:
            share = self.ready
        except AttributeError:
            share = self._share.get()
        if 0 < share < _BUCKETS:
            return zlib.crc32(f"{self.key}\0{one}".encode()) % _BUCKETS < share
        return share == _BUCKETS

    def watch(self, listener: Callable[[Switch], object]) -> None:
        """Call *listener* with this switch after each change of its value, as long as the program runs.

        It must be quick: it is called by the thread that brings the change. What it raises is logged.
        """
        self._share.get()
        self._share.after(lambda _share: listener(self))

    def __repr__(self) -> str:
        return f"switch({self.key!r})"

    def _read(self, views: Sequence[ConfigurationView]) -> int:
        text = views[0].get(self.key)
        return _BUCKETS * self._default if text is None else _share_of(text.strip(), repr(self))


def switch(
    key: str,
    default: bool = False,
    *,
    group: str = "application",
    application: str = "",
    label: str = "",
    component: str = "default",
) -> Switch:
    """Return the live switch of a feature.

        new_checkout = switch("features.new-checkout")

        if new_checkout: …                       # `true`, `on`, `yes`, `1`, or `100%`
        if new_checkout.on_for(user.id): …       # `25%`: for a quarter of the users, always the same ones

    A value that is neither a truth value nor a percentage is an error at the first read; at a later change it is
    logged, and the value before stays.

    Args:
        key: The key of its value.
        default: What holds where the group has no such key.
        group: The group of the key.
        application: The owner of the group; `""` for the component's own.
        label: The variant; one that does not exist falls back to the unlabelled.
        component: The logical name of the configuration component.
    """

    def source(runtime: Runtime) -> GroupSource:
        return GroupSource(runtime.configuration(component), group, application, label)

    return Switch(key, default, source)


def _share_of(text: str, label: str) -> int:
    """Return how many of all buckets are on.

    Raises:
        InvalidArgumentError: It is neither a truth value nor a percentage.
    """
    if (match := _PERCENTAGE.fullmatch(text)) and float(match["number"]) <= 100:
        return round(float(match["number"]) * _BUCKETS / 100)
    try:
        on: bool = convert(text, bool, label)
    except InvalidArgumentError:
        raise InvalidArgumentError(
            f"{label}: neither a truth value, such as `true` and `off`, nor a percentage from `0%` to `100%`. "
            "Correct the value."
        ) from None
    return _BUCKETS * on
