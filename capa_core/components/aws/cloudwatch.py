"""Metrics for CloudWatch: log lines in its Embedded Metric Format, which it turns into metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature
from capa_core.blocks.telemetry.lines import Stream, as_bytes, write
from capa_core.blocks.telemetry.settings import ExportSettings
from capa_core.errors import DeadlineError, UnavailableError

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData

_MOST_METRICS = 100
_MOST_DIMENSIONS = 30
_LONGEST_DIMENSION = 1024
_UNITS = {
    "s": "Seconds",
    "ms": "Milliseconds",
    "us": "Microseconds",
    "By": "Bytes",
    "kBy": "Kilobytes",
    "MBy": "Megabytes",
    "%": "Percent",
    "1": "None",
    "": "None",
}

Attributes = tuple[tuple[str, Any], ...]


class CloudWatchTelemetrySettings(ExportSettings):
    """The place of the lines, and the metrics that CloudWatch makes of them.

    Attributes:
        namespace: The namespace of the metrics.
        dimensions: The attributes that are dimensions, at most 30; `service.name` may be one. Each combination of their
            values is a metric, which CloudWatch charges for. The others can be searched in the log.
        stream: The stream that the lines are written to, as Lambda, ECS and EKS collect it.
        agent: The address of a CloudWatch agent that gets the lines instead, such as `tcp://127.0.0.1:25888`.
        log_group: The log group into which the agent puts them; its own by default.
    """

    namespace: str = Field(default="Capa", min_length=1, max_length=255)
    dimensions: tuple[str, ...] = Field(
        default=("service.name", "capa.block", "capa.component"), max_length=_MOST_DIMENSIONS
    )
    stream: Stream = "stdout"
    agent: str = ""
    log_group: str = Field(default="", max_length=512)

    @field_validator("agent")
    @classmethod
    def _check_agent(cls, agent: str) -> str:
        if agent:
            _place(agent)
        return agent


class CloudWatchTelemetry(TelemetryDriver[CloudWatchTelemetrySettings]):
    """A line for each combination of attributes in each report."""

    settings_type = CloudWatchTelemetrySettings
    features = {
        TelemetryFeature.BOUNDED: BY_CORE,
        TelemetryFeature.FORKS: BY_CORE,
        TelemetryFeature.TRACES: absent(
            "the lines have metrics alone; a second component may send traces, to AWS's collector too"
        ),
        TelemetryFeature.METRICS: NATIVE,
        TelemetryFeature.SCRAPE: absent("metrics are written by the process itself"),
    }
    error_types = {TimeoutError: DeadlineError, OSError: UnavailableError}
    deltas: ClassVar[bool] = True

    def send_metrics(self, metrics: MetricsData, timeout_s: float) -> int:
        """See `TelemetryDriver.send_metrics`."""
        lines = _lines(metrics, self.settings)
        if self.settings.agent:
            self._send(b"".join(as_bytes(lines)), timeout_s)
        else:
            write(self.settings.stream, lines)
        return 0

    def address(self) -> str:
        """See `Driver.address`."""
        return self.settings.agent

    def ping(self) -> str:
        """See `Driver.ping`: of an agent it opens a connection."""
        if self.settings.agent:
            self._send(b"", self.settings.timeout_s)
            return f"a CloudWatch agent at {self.settings.agent}"
        return f"the {self.settings.stream} of this process"

    def close(self) -> None:
        """See `Driver.close`."""

    def _send(self, data: bytes, timeout_s: float) -> None:
        """Send *data* on a connection of its own: there is one report a minute."""
        with socket.create_connection(_place(self.settings.agent), timeout_s) as connection:
            connection.sendall(data)


def _place(agent: str) -> tuple[str, int]:
    parts = urlsplit(agent)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # no number, or above 65,535
        host = port = None
    if parts.scheme != "tcp" or not host or not port:
        raise ValueError(
            "is no address of a CloudWatch agent: write tcp://host:port, such as tcp://127.0.0.1:25888"
        )
    return host, port


def _lines(metrics: MetricsData, settings: CloudWatchTelemetrySettings) -> Iterator[Mapping[str, Any]]:
    for resource in metrics.resource_metrics:
        of_process = resource.resource.attributes
        for scope in resource.scope_metrics:  # two of them may have a metric of one name
            for (time_ns, attributes), points in _by_attributes(scope.metrics).items():
                shown = {**of_process, **dict(attributes)}
                for start in range(0, len(points), _MOST_METRICS):
                    yield _line(points[start : start + _MOST_METRICS], time_ns, shown, settings)


def _by_attributes(metrics: Sequence[Metric]) -> dict[tuple[int, Attributes], list[tuple[Metric, Any]]]:
    """Return the points that share a line: of one time, and with the same attributes."""
    found: dict[tuple[int, Attributes], list[tuple[Metric, Any]]] = defaultdict(list)
    for metric in metrics:
        for point in metric.data.data_points:
            attributes = tuple(sorted((point.attributes or {}).items()))
            found[point.time_unix_nano, attributes].append((metric, point))
    return found


def _line(
    points: list[tuple[Metric, Any]],
    time_ns: int,
    attributes: Mapping[str, Any],
    settings: CloudWatchTelemetrySettings,
) -> Mapping[str, Any]:
    dimensions = [name for name in settings.dimensions if str(attributes.get(name, ""))]
    values = {name: str(attributes[name])[:_LONGEST_DIMENSION] for name in dimensions}
    group = {"LogGroupName": settings.log_group} if settings.log_group else {}
    directive = {
        "Namespace": settings.namespace,
        "Dimensions": [dimensions],
        "Metrics": [{"Name": metric.name, "Unit": _unit(metric.unit)} for metric, _ in points],
    }
    return {
        "_aws": {"Timestamp": time_ns // 1_000_000, "CloudWatchMetrics": [directive], **group},
        **attributes,
        **values,
        **{metric.name: _value(point) for metric, point in points},
    }


def _unit(unit: str | None) -> str:
    return "Count" if unit and unit.startswith("{") else _UNITS.get(unit or "", "None")


def _value(point: Any) -> Any:
    """Return the value of a point; of a histogram what CloudWatch makes statistics and percentiles of."""
    if hasattr(point, "value"):
        return point.value
    statistics = {"Max": point.max, "Min": point.min, "Count": point.count, "Sum": point.sum}
    if not hasattr(point, "explicit_bounds"):
        return statistics
    middles = _middles(point)
    filled = [(value, count) for value, count in zip(middles, point.bucket_counts, strict=True) if count]
    return {"Values": [value for value, _ in filled], "Counts": [count for _, count in filled], **statistics}


def _middles(point: Any) -> list[float]:
    """Return the middle of each bucket, within the least and the largest value that came."""
    bounds = [point.min, *point.explicit_bounds, point.max]
    limited = [min(max(bound, point.min), point.max) for bound in bounds]
    return [(low + high) / 2 for low, high in pairwise(limited)]
