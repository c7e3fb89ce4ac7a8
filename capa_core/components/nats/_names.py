"""Names of streams, subjects and consumers: no dots, spaces or wildcards in them, whatever the topic is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256

_LONGEST = 180  # of the 255 bytes that a name may have, which is that of a folder on the server
_DIGITS = 32
_UNSAFE = re.compile(rb"[^A-Za-z0-9_-]")

KEPT, LATER = "kept", "later"
"""Consumers that nobody pulls from: what they have not acknowledged stays in the stream."""
LASTING, TEMPORARY = "group+", "listener+"
TOPIC_KEY, GROUP_KEY = "capa.topic", "capa.group"
"""Keys of the metadata of a stream and of a consumer, with the whole name."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one topic."""

    prefix: str
    topic: str

    @property
    def stream(self) -> str:
        """The stream that keeps its messages."""
        return f"{self.prefix}+{escaped(self.topic)}"

    @property
    def now(self) -> str:
        """The subject of its messages."""
        return f"{self.prefix}.{escaped(self.topic)}.now"

    @property
    def later(self) -> str:
        """The subjects of delayed messages: each has one of its own, as a subject has one time."""
        return f"{self.prefix}.{escaped(self.topic)}.later.*"

    def delayed(self, token: str) -> str:
        """Return the subject of one delayed message."""
        return f"{self.later[:-1]}{token}"

    @staticmethod
    def consumer(group: str, *, temporary: bool = False) -> str:
        """Return the consumer of *group*."""
        return (TEMPORARY if temporary else LASTING) + escaped(group)


def escaped(name: str) -> str:
    """Return *name* in letters, digits, `_`, `-` and `=`; its beginning and a hash of the whole if that is too long."""
    short = _UNSAFE.sub(lambda found: b"=%02X" % found.group()[0], name.encode()).decode()
    if len(short) <= _LONGEST:
        return short
    return f"{short[: _LONGEST - _DIGITS - 2]}=={sha256(name.encode()).hexdigest()[:_DIGITS]}"
