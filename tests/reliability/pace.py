"""The pace of a producer: a share of the messages in each round, and never many ahead of those that are done.

The fault of a round comes amid its share, so that messages are under way.
"""

import time
from collections.abc import Iterator
from pathlib import Path

from reliability.journal import Tail

AHEAD = 40
"""So few messages wait at a time that one that comes again, on some engines behind all others, is soon done."""
GIVEN_UP_S = 5.0
"""A message that is not done by then, as a lost one, no longer keeps others from being sent."""
AT_ONCE = 10


class Pace:
    """Follows the journal."""

    def __init__(self, journal: str | Path, messages: int, rounds: int) -> None:
        self._tail = Tail(journal)
        self._messages = messages
        self._share = messages / rounds
        self._sent = 0
        self._begun = 0
        self._waiting: dict[str, float] = {}

    def batches(self) -> Iterator[list[int]]:
        """Yield numbers to send, new ones in place of those that could not be sent, until enough were sent."""
        number = 0
        while self._sent < self._messages:
            count = min(AT_ONCE, self._room())
            if count > 0:
                yield list(range(number, number + count))
                number += count
            else:
                time.sleep(0.005)

    def _room(self) -> int:
        for line in self._tail.new():
            if line.event == "sent":
                self._sent += 1
                self._waiting[line.name] = line.at
            elif line.event == "done":
                self._waiting.pop(line.name, None)
            elif line.event == "round":
                self._begun += 1
        given_up = time.monotonic() - GIVEN_UP_S
        waiting = sum(at > given_up for at in self._waiting.values())
        allowed = min(self._messages, round(self._begun * self._share))
        return min(allowed - self._sent, AHEAD - waiting)
