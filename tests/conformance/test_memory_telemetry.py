from collections.abc import Callable

import pytest

from capa_core.blocks.telemetry import Telemetry
from capa_core.components.memory.telemetry import MemoryTelemetry, MemoryTelemetrySettings
from capa_core.conformance.telemetry import COUNTER, Connect, Seen, TelemetryConformance


class TestMemoryTelemetry(TelemetryConformance):
    shared = False

    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: MemoryTelemetry(MemoryTelemetrySettings())

    @pytest.fixture
    def seen(self) -> Callable[[Telemetry], Seen]:
        return _seen


def _seen(telemetry: Telemetry) -> Seen:
    spans = [(span.resource.attributes["process.pid"], span.name) for span in telemetry._driver.spans]
    report = telemetry._driver.metrics
    return Seen(
        spans=spans,
        totals={
            resource.resource.attributes["process.pid"]: metric.data.data_points[0].value
            for resource in (report.resource_metrics if report else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == COUNTER
        },
    )
