"""The driver contract of telemetry: where the spans and metrics of this process go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.trace import ReadableSpan


class TelemetryFeature(Feature):
    """Abilities of telemetry."""

    BOUNDED = ("bounded", Level.ALWAYS)
    """An engine that is down or slow neither delays the application nor fills its memory: the rest is dropped."""
    FORKS = ("forks", Level.ALWAYS)
    """A forked child reports its own calls, and none of its parent's again."""
    TRACES = ("traces", Level.COMMON)
    """Spans are sent to the engine."""
    METRICS = ("metrics", Level.COMMON)
    """Metrics are sent to the engine, or fetched by it."""
    SCRAPE = ("scrape", Level.SOME)
    """The engine fetches metrics from the process, as from `/metrics`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryLimits:
    """The bounds of what waits to be sent.

    Attributes:
        max_queue_spans: Spans that wait; further ones are dropped. `None` where none are sent.
        max_batch_spans: Spans in one request.
    """

    max_queue_spans: int | None = None
    max_batch_spans: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryStatus:
    """The numbers of one component in this process since it started, or was forked.

    Attributes:
        sent_spans: Spans that the engine has accepted.
        sent_metrics: Reports of all metrics that it has accepted.
        failed_metrics: Reports of all metrics that it has not accepted.
        dropped_spans: Spans that were dropped: the queue was full, or the engine refused them.
        waiting_spans: Spans that wait to be sent.
        problem: The last error of the spans, or of the metrics, as long as these are not delivered; `""` if both are.
    """

    sent_spans: int = 0
    sent_metrics: int = 0
    failed_metrics: int = 0
    dropped_spans: int = 0
    waiting_spans: int = 0
    problem: str = ""


class TelemetryDriver(Driver[SettingsT]):
    """A sink of spans and metrics in the types of OpenTelemetry's SDK.

    The portable type batches, bounds, times and repeats; it calls `send_spans` and `send_metrics` from one thread at a
    time. They *must* return or raise within *timeout_s* in total, and *may* raise any error. A retryable one, by
    `name_error`, has the same spans sent again; another one drops them.

    A report has the totals since the start of the process; with `deltas`, those since the report before. A report that
    fails is not repeated: the next one has its totals, and its deltas are lost.

    `forget` is called in each forked child before its first call: nothing that the parent has not written *may* be
    written there.
    """

    deltas: ClassVar[bool] = False
    """Whether counters and histograms are reported since the last report, for engines that add them up themselves."""

    def send_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> int:
        """Send *spans*, and return how many of them the engine refused. TRACES."""
        raise NotImplementedError

    def send_metrics(self, metrics: MetricsData, timeout_s: float) -> int:
        """Send a report of all *metrics*, and return how many points the engine refused. METRICS without SCRAPE."""
        raise NotImplementedError

    def reader(self) -> MetricReader:
        """Return a new reader, whose metrics `exposition` shows from then on. SCRAPE."""
        raise NotImplementedError

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics in the form that the engine fetches, and its content type. SCRAPE."""
        raise NotImplementedError
