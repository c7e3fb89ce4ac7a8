"""Version requirements such as `>=2.32.3,<3`, as far as import maps use them.

Only the numbers of a version count: `5.6.0rc1` is 5.6.0. The `packaging` library would read all of PEP 440, and be a
dependency of the core for this alone.
"""

from __future__ import annotations

import operator
import re

_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_CLAUSE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)\s*")
_OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def is_within(version: str, requirement: str) -> bool:
    """Return whether *version* fulfils all clauses of *requirement*; a version without numbers does.

    Raises:
        ValueError: A clause of *requirement* is none of `>=`, `<=`, `==`, `!=`, `>` and `<` with numbers.
    """
    found = _NUMBERS.match(version.removeprefix("v"))
    if found is None:
        return True
    return all(_holds(_numbers(found[0]), clause) for clause in requirement.split(","))


def _holds(version: tuple[int, ...], clause: str) -> bool:
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        raise ValueError(f"{clause!r} is not a version requirement: write one such as >=2.32.3")
    result: bool = _OPERATORS[found[1]](version, _numbers(found[2]))
    return result


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers without zeros at the end: `3`, `3.0` and `3.0.0` are one version."""
    numbers = [int(part) for part in text.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
