"""Limits: records up to a declared limit are stored; larger ones are refused before they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.log import Log, LogDriver
from capa_core.conformance._limits import affordable, over, unreachable
from capa_core.conformance._log.suite import Suite, poll
from capa_core.errors import InvalidArgumentError


class LimitPromises(Suite):
    """The promises of `limits`."""

    def test_a_record_as_large_as_declared_is_delivered(self, log: Log, topic: str) -> None:
        """Its topic has the longest name."""
        topic = (topic + "x" * 255)[: log.limits.max_name_length]
        value = b"x" * (affordable(log.limits.max_record_bytes) - 1002)
        log.append(topic, value, key=b"k", headers={"h": b"v" * 1000})

        assert [value] == [record.value for record in poll(log.reader(topic), 1)]

    def test_a_larger_record_is_refused_before_it_is_sent(
        self, driver: LogDriver[Any], log: Log, topic: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same holds in a batch, of which nothing is stored."""
        value = over(log.limits.max_record_bytes)
        unreachable(monkeypatch, driver, ["append"])

        with pytest.raises(InvalidArgumentError, match=r"'suite'.*max_record_bytes"):
            log.append(topic, value)
        with pytest.raises(InvalidArgumentError, match="max_record_bytes"):
            log.append_many(topic, [b"small", value])

    def test_a_batch_may_be_larger_than_one_request(self, log: Log, topic: str) -> None:
        """The core then sends several requests."""
        count = (log.limits.max_batch or 50) + 1
        results = log.append_many(topic, [b"x"] * count)

        assert [True] * count == [result.ok for result in results]
        assert count == len(poll(log.reader(topic), count))
