"""Telemetry kept in memory: for tests."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature
from capa_core.blocks.telemetry.settings import ExportSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan


class MemoryTelemetrySettings(ExportSettings):
    """How much is kept.

    Attributes:
        keep_spans: The last spans, so many.
    """

    keep_spans: int = Field(default=10_000, ge=1, le=1_000_000)


class MemoryTelemetry(TelemetryDriver[MemoryTelemetrySettings]):
    """The last spans and the last report of the metrics of this process."""

    settings_type = MemoryTelemetrySettings
    features = {
        TelemetryFeature.BOUNDED: BY_CORE,
        TelemetryFeature.FORKS: BY_CORE,
        TelemetryFeature.TRACES: NATIVE,
        TelemetryFeature.METRICS: NATIVE,
        TelemetryFeature.SCRAPE: absent("metrics are kept in this process"),
    }

    def __init__(self, settings: MemoryTelemetrySettings) -> None:
        super().__init__(settings)
        self._changing = threading.Lock()
        self._spans: deque[ReadableSpan] = deque(maxlen=settings.keep_spans)
        self._report: MetricsData | None = None

    def send_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> int:
        """See `TelemetryDriver.send_spans`."""
        del timeout_s
        with self._changing:
            self._spans.extend(spans)
        return 0

    def send_metrics(self, metrics: MetricsData, timeout_s: float) -> int:
        """See `TelemetryDriver.send_metrics`."""
        del timeout_s
        self._report = metrics
        return 0

    @property
    def spans(self) -> list[ReadableSpan]:
        """The spans that were sent, the oldest first."""
        with self._changing:
            return list(self._spans)

    @property
    def metrics(self) -> MetricsData | None:
        """The last report; `None` before the first."""
        return self._report

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"memory of this process, {len(self._spans)} spans"

    def close(self) -> None:
        """See `Driver.close`."""

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._changing = threading.Lock()
        self._spans.clear()
        self._report = None
