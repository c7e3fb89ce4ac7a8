from collections.abc import Callable

import pytest

from capa_core.blocks.telemetry import Telemetry
from capa_core.components.none.telemetry import NoTelemetry, NoTelemetrySettings
from capa_core.conformance.telemetry import Connect, Seen, TelemetryConformance


class TestNoTelemetry(TelemetryConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: NoTelemetry(NoTelemetrySettings())

    @pytest.fixture
    def seen(self) -> Callable[[Telemetry], Seen]:
        return lambda _: Seen()
