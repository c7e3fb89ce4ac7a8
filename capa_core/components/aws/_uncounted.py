"""Deliveries that SQS counts and that were none, in queues where a copy would change the order."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from capa_core.components.aws._messages import Pulled

_MOST = 10_000


class Uncounted:
    """How often messages were released or looked at, by id and publisher's time. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: OrderedDict[tuple[str, float], int] = OrderedDict()

    def note(self, messages: Iterable[Pulled], times: int) -> None:
        """Note that *times* deliveries of each were none."""
        with self._lock:
            for one in messages:
                key = one.message.id, one.published_at
                self._times[key] = self._times.get(key, 0) + times
                self._times.move_to_end(key)
            while len(self._times) > _MOST:
                self._times.popitem(last=False)

    def apply(self, messages: Iterable[Pulled]) -> None:
        """Take what is noted off the counts of messages that came again."""
        if not self._times:
            return
        with self._lock:
            for one in messages:
                one.deliveries = max(
                    1, one.deliveries - self._times.get((one.message.id, one.published_at), 0)
                )
