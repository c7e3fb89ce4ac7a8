"""Conformance of the memory log."""

from collections.abc import Iterator

import pytest

from capa_core.components.memory.log import MemoryLog, MemoryLogSettings
from capa_core.conformance.log import LogConformance


class TestMemoryLog(LogConformance):
    @pytest.fixture
    def driver(self) -> Iterator[MemoryLog]:
        driver = MemoryLog(MemoryLogSettings())
        yield driver
        driver.close()
