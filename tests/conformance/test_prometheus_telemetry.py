from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from capa_core.blocks.telemetry import Telemetry
from capa_core.components.prometheus.telemetry import PrometheusTelemetry, PrometheusTelemetrySettings
from capa_core.conformance.telemetry import Connect, Seen, TelemetryConformance


class TestPrometheusTelemetry(TelemetryConformance):
    """Read by Prometheus' own parser."""

    shared = False

    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: PrometheusTelemetry(PrometheusTelemetrySettings())

    @pytest.fixture
    def seen(self) -> Callable[[Telemetry], Seen]:
        return _seen


def _seen(telemetry: Telemetry) -> Seen:
    families = text_string_to_metric_families(telemetry.exposition()[0].decode())
    samples = {sample.name: sample for family in families for sample in family.samples}
    process = int(samples["target_info"].labels["process_pid"])
    return Seen(totals={process: samples["conformance_orders_total"].value})
