"""What is declared as a limit is carried; what is over it is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.log import Log, LogDriver
from capa_core.conformance._limits import affordable, over, unreachable
from capa_core.conformance._log.setting import Setting, poll
from capa_core.errors import InvalidArgumentError


class LimitPromises(Setting):
    """Of `limits`."""

    def test_a_record_as_large_as_declared_comes_whole(self, log: Log, topic: str) -> None:
        """With the longest name of a topic."""
        topic = (topic + "x" * 255)[: log.limits.max_name_length]
        value = b"x" * (affordable(log.limits.max_record_bytes) - 1002)
        log.append(topic, value, key=b"k", headers={"h": b"v" * 1000})

        assert [value] == [record.value for record in poll(log.reader(topic), 1)]

    def test_a_larger_record_is_refused_before_it_is_sent(
        self, driver: LogDriver[Any], log: Log, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Alone and in a batch, of which nothing is stored then."""
        value = over(log.limits.max_record_bytes)
        unreachable(monkeypatch, driver, ["append"])

        with pytest.raises(InvalidArgumentError, match=r"'suite'.*max_record_bytes"):
            log.append(topic, value)
        with pytest.raises(InvalidArgumentError, match="max_record_bytes"):
            log.append_many(topic, [b"small", value])

    def test_a_batch_may_be_larger_than_one_trip(self, log: Log, topic: str) -> None:
        """The core then makes several."""
        count = (log.limits.max_batch or 50) + 1
        results = log.append_many(topic, [b"x"] * count)

        assert [True] * count == [result.ok for result in results]
        assert count == len(poll(log.reader(topic), count))
