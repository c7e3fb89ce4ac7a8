import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, generate_latest
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

    def test_text_that_utf_8_cannot_hold_is_escaped(self, telemetry: Telemetry) -> None:
        """As of a name of a file: one such label must not end each fetch."""
        telemetry.meter("conformance").create_counter("files").add(1, {"name": "a\udcff"})

        assert b'files_total{name="a\\\\udcff"} 1.0' in telemetry.exposition()[0]

    def test_fetches_at_once_wait_for_each_other(
        self, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else two servers that fetch at once get nothing and everything twice: the reader has one place for both."""
        inside: list[bool] = []
        together = threading.Event()

        def watched(registry: CollectorRegistry) -> bytes:
            inside.append(True)
            if len(inside) == 2:
                together.set()
            together.wait(0.3)
            try:
                return generate_latest(registry)
            finally:
                inside.pop()

        monkeypatch.setattr("capa_core.components.prometheus.telemetry.generate_latest", watched)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda _: telemetry.exposition(), range(2)))

        assert not together.is_set()


def _seen(telemetry: Telemetry) -> Seen:
    families = text_string_to_metric_families(telemetry.exposition()[0].decode())
    samples = {sample.name: sample for family in families for sample in family.samples}
    process = int(samples["target_info"].labels["process_pid"])
    return Seen(totals={process: samples["conformance_orders_total"].value})
