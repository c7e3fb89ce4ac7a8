"""Telemetry on the console: a line of JSON for each span, and for each metric of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature
from capa_core.blocks.telemetry.lines import Stream, write
from capa_core.blocks.telemetry.settings import ExportSettings
from capa_core.errors import UnavailableError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan


class ConsoleTelemetrySettings(ExportSettings):
    """The place of the lines.

    Attributes:
        stream: The standard error or the standard output of the process.
    """

    stream: Stream = "stderr"


class ConsoleTelemetry(TelemetryDriver[ConsoleTelemetrySettings]):
    """Writes each report at once."""

    settings_type = ConsoleTelemetrySettings
    features = {
        TelemetryFeature.BOUNDED: BY_CORE,
        TelemetryFeature.FORKS: BY_CORE,
        TelemetryFeature.TRACES: NATIVE,
        TelemetryFeature.METRICS: NATIVE,
        TelemetryFeature.SCRAPE: absent("metrics are written by the process itself"),
    }
    error_types = {OSError: UnavailableError}

    def send_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> int:
        """See `TelemetryDriver.send_spans`."""
        del timeout_s
        write(self.settings.stream, map(_span, spans))
        return 0

    def send_metrics(self, metrics: MetricsData, timeout_s: float) -> int:
        """See `TelemetryDriver.send_metrics`."""
        del timeout_s
        write(self.settings.stream, _metrics(metrics))
        return 0

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"the {self.settings.stream} of this process"

    def close(self) -> None:
        """See `Driver.close`."""


def _span(span: ReadableSpan) -> Mapping[str, Any]:
    context, parent = span.context, span.parent
    return {
        "span": span.name,
        "process": span.resource.attributes.get("process.pid"),
        "kind": span.kind.name.lower(),
        "trace_id": f"{context.trace_id:032x}" if context else "",
        "span_id": f"{context.span_id:016x}" if context else "",
        "parent_id": f"{parent.span_id:016x}" if parent else "",
        "start_ns": span.start_time,
        "seconds": ((span.end_time or 0) - (span.start_time or 0)) / 1e9,
        "status": span.status.status_code.name.lower(),
        "attributes": dict(span.attributes or {}),
    }


def _metrics(metrics: MetricsData) -> Iterator[Mapping[str, Any]]:
    for resource in metrics.resource_metrics:
        process = resource.resource.attributes.get("process.pid")
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield {
                        "metric": metric.name,
                        "process": process,
                        "unit": metric.unit,
                        "attributes": dict(point.attributes or {}),
                        **_numbers(point),
                    }


def _numbers(point: Any) -> Mapping[str, Any]:
    """Return the value of a point, or of a histogram what can be read at a glance."""
    if hasattr(point, "value"):
        return {"value": point.value}
    return {"count": point.count, "sum": point.sum, "min": point.min, "max": point.max}
