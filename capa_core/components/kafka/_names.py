"""Names of topics and groups in Kafka.

Kafka's topics have up to 249 characters of `A-Z a-z 0-9 . _ -`. Such a name stays as it is. In others each other
character becomes `_u` and its number in base 16 and `_`, so that a list of topics can be read back; what is too long
then keeps its ends, with a hash between them, and is listed so.

A Kafka group has one position in each topic and members that are interrupted together. Here each topic's group is
one of its own, `<group>/<topic>`: consumers of another topic do not interrupt those of this one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

_LONGEST = 249
_OTHER = re.compile(r"[^A-Za-z0-9._-]|_(?=u[0-9A-F]+_)")
_WRITTEN = re.compile(r"_u([0-9A-F]{1,6})_")
_ENDING = 24  # that of a retry topic stays readable
_LARGEST_CHARACTER = 0x10FFFF
_INTERNAL = frozenset({"__consumer_offsets", "__transaction_state", "__share_group_state"})


class Names:
    """The names of a component with *prefix*."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def topic(self, name: str) -> str:
        """Return Kafka's name of the topic *name*."""
        escaped = _OTHER.sub(lambda found: f"_u{ord(found.group()):X}_", self._prefix + name)
        if escaped in (".", ".."):
            escaped = escaped.replace(".", "_u2E_")
        if len(escaped) <= _LONGEST:
            return escaped
        own = f".{hashlib.sha256(name.encode()).hexdigest()[:16]}."
        return escaped[: _LONGEST - _ENDING - len(own)] + own + escaped[-_ENDING:]

    def topics(self, found: Iterable[str]) -> Iterator[str]:
        """Yield the names of Kafka's topics *found* that are this component's."""
        for name in found:
            if name.startswith(self._prefix) and name not in _INTERNAL:
                yield _WRITTEN.sub(_character, name)[len(self._prefix) :]

    def group(self, topic: str, group: str) -> str:
        """Return Kafka's name of *group* in *topic*."""
        return f"{self._prefix}{group}/{self.topic(topic)}"

    def groups(self, topic: str, found: Iterable[str]) -> list[str]:
        """Return the groups of *topic* among Kafka's groups *found*."""
        ending = f"/{self.topic(topic)}"
        return [
            name[len(self._prefix) : -len(ending)]
            for name in found
            if name.startswith(self._prefix) and name.endswith(ending)
        ]


def _character(found: re.Match[str]) -> str:
    number = int(found.group(1), 16)
    return chr(number) if number <= _LARGEST_CHARACTER else found.group()
