"""The topics that consumers wait for: a publisher sends no notice that nobody would hear.

A notice is a transaction beside that which stores a message. A consumer that waits says so in a row for its topic,
which the statement of a publish reads. The row outlasts the wait: it is written twice a minute at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from capa_core.components.postgres._database import Database
from capa_core.components.postgres._notices import Listener, Notices

LIFE_S = 60.0
_FIRST_S = 0.05
_MOST = 10_000

STEP = """
CREATE TABLE capa.waiting (
    topic text PRIMARY KEY,
    until timestamptz NOT NULL
) WITH (fillfactor = 50);
"""
AWAITED = "EXISTS (SELECT FROM capa.waiting WHERE topic = %(topic)s AND until > now())"
_NOTE = """
WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
INSERT INTO capa.waiting SELECT %(topic)s, now() + %(life_s)s::float8 * interval '1 s' FROM lazily
ON CONFLICT (topic) DO UPDATE SET until = greatest(waiting.until, excluded.until)
"""
FORGET = "DELETE FROM capa.waiting WHERE until <= now()"


class Waiting:
    """The topics that this process has said that it waits for. Safe for many threads."""

    def __init__(self, database: Database, notices: Notices) -> None:
        self._database = database
        self._notices = notices
        self._until: dict[str, float] = {}

    @contextmanager
    def listen(self, topic: str) -> Iterator[Waiter]:
        """Listen for notices about *topic* for the length of a `with` block, and have publishers know it."""
        with self._notices.listen(topic) as listener:
            yield Waiter(self, topic, listener, is_news=self.note(topic))

    def note(self, topic: str) -> bool:
        """Have publishers know that *topic* is waited for; return whether they did not know."""
        now = time.monotonic()
        left_s = self._until.get(topic, now) - now
        if left_s > LIFE_S / 2:
            return False
        if len(self._until) >= _MOST:  # names made up at run time
            self._until.clear()
        self._database.change(_NOTE, topic=topic, life_s=LIFE_S)
        self._until[topic] = now + LIFE_S
        return left_s <= 0


class Waiter:
    """One who waits for notices. Used by one thread."""

    def __init__(self, waiting: Waiting, topic: str, listener: Listener, *, is_news: bool) -> None:
        self._waiting = waiting
        self._topic = topic
        self._listener = listener
        self._is_news = is_news

    def wait(self, timeout_s: float) -> bool:
        """Return whether there was a notice since the last wait, or comes within *timeout_s* seconds.

        The first time only for a moment if its wait is news: a publisher may have looked before, and committed since.
        """
        if self._is_news or self._waiting.note(self._topic):
            self._is_news, timeout_s = False, min(timeout_s, _FIRST_S)
        return self._listener.wait(timeout_s)
