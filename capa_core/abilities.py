"""Abilities of a block, their levels, and the support of each by a driver.

A block lists its abilities in an enum made from `Feature`. A driver maps each to a `Support`; the conformance
suite verifies the map in both directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum


class Level(IntEnum):
    """How far an application may rely on an ability."""

    ALWAYS = 0
    """Holds on every component, native or compensated."""
    COMMON = 1
    """Most components have it; require it to be sure."""
    SOME = 2
    """Some components have it; require it to be sure."""
    ENGINE = 99
    """One engine's own (level X)."""

    @property
    def sign(self) -> str:
        """The level in text: `0`, `1`, `2` or `X`."""
        return "X" if self is Level.ENGINE else str(self.value)


class Feature(Enum):
    """One ability of a block. Members are `(name, level)`, such as `TTL = ("ttl", Level.ALWAYS)`."""

    def __init__(self, label: str, level: Level) -> None:
        self.label = label
        self.level = level

    def __str__(self) -> str:
        return self.label


class How(Enum):
    """The provider of an ability and the quality of its support."""

    NATIVE = "native"
    DRIVER = "compensated by the driver"
    CORE = "compensated by the core"
    APPROXIMATE = "approximate"
    ABSENT = "absent"

    @property
    def word(self) -> str:
        """The value in one word, for a cell of a table: `native`, `driver`, `core`, `approximate` or `absent`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Support:
    """The support of one ability by a component.

    Attributes:
        how: The provider.
        note: The exact guarantee for `APPROXIMATE`, the reason for `ABSENT`, else free text.
    """

    how: How
    note: str = ""

    def __bool__(self) -> bool:
        return self.how is not How.ABSENT

    @property
    def by_driver(self) -> bool:
        """Whether the driver itself provides it, so that the core need not compensate."""
        return self.how in (How.NATIVE, How.DRIVER, How.APPROXIMATE)


def meanings(features: type[Feature]) -> dict[str, str]:
    """Return the description of each ability by label: the text below the member, which Python discards."""
    import ast
    import inspect
    from itertools import pairwise

    (body,) = ast.parse(inspect.getsource(features)).body
    statements = body.body if isinstance(body, ast.ClassDef) else []
    return {
        features[node.targets[0].id].label: inspect.cleandoc(text.value.value)
        for node, text in pairwise(statements)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        if isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


NATIVE = Support(How.NATIVE)
BY_DRIVER = Support(How.DRIVER)
BY_CORE = Support(How.CORE)


def approximate(guarantee: str) -> Support:
    """Return the support of an ability that holds only to the extent of *guarantee*."""
    return Support(How.APPROXIMATE, guarantee)


def absent(reason: str) -> Support:
    """Return the support of an ability that is missing for *reason*."""
    return Support(How.ABSENT, reason)


Abilities = Mapping[Feature, Support]
