from collections.abc import Callable

import pytest
from servers.otlp import OtlpReceiver

from capa_core.blocks.telemetry import Telemetry
from capa_core.components.otlp.telemetry import OtlpTelemetry, OtlpTelemetrySettings
from capa_core.conformance.telemetry import COUNTER, Connect, Seen, TelemetryConformance


@pytest.mark.server("otlp")
class TestOtlpTelemetry(TelemetryConformance):
    """On a receiver of our own."""

    @pytest.fixture
    def connect(self, otlp: OtlpReceiver) -> Connect:
        return lambda: OtlpTelemetry(OtlpTelemetrySettings(url=otlp.url))

    @pytest.fixture
    def seen(self, otlp: OtlpReceiver) -> Callable[[Telemetry], Seen]:
        return lambda _: Seen(
            spans=[(process, span.name) for process, span in otlp.spans()],
            totals={
                process: metric.sum.data_points[0].as_int
                for process, metric in otlp.metrics()
                if metric.name == COUNTER
            },
        )
