"""The sender of one component: a bounded queue of spans, a reader of metrics, and the thread that sends both.

OpenTelemetry's own batch processor and reader are not used: they count no dropped span, log each failure, have no
deadline for the last sending, and start threads in a forked child that send the parent's metrics again
(docs/decisions/telemetry.md).
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from opentelemetry.sdk.metrics import Counter, Histogram, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature, TelemetryStatus
from capa_core.blocks.telemetry.settings import ExportSettings
from capa_core.call import telemetry
from capa_core.errors import CapaError
from capa_core.supervision import SupervisedThread

_NEXT_STEP = (
    "the application goes on without it, and tells when it is delivered again. `capa doctor` shows the address and"
    " whether it answers"
)


class Exporter:
    """Sends the spans and metrics of this process through one driver. Safe for many threads.

    No call but `flush` and `stop` waits for the engine. Spans that it cannot take now are kept up to
    `max_queue_spans`, and then dropped and counted; metrics are totals, which the next report has again.
    """

    def __init__(self, name: str, driver: TelemetryDriver[Any], settings: ExportSettings) -> None:
        traces = settings.traces and driver.features[TelemetryFeature.TRACES]
        metrics = settings.metrics and driver.features[TelemetryFeature.METRICS]
        self.processor = Spans(self.put) if traces else None
        self.reader = Metrics(deltas=driver.deltas) if metrics else None
        self._name = name
        self._driver = driver
        self._settings = settings
        self._changed = threading.Condition()
        self._full = min(settings.max_batch_spans, settings.max_queue_spans)
        self._queue: deque[ReadableSpan] = deque()
        self._asked = self._answered = 0
        self._stopping = self._over = False
        self._end = math.inf
        self._resume_at = 0.0
        self._report_at = time.monotonic() + settings.metrics_interval_s
        self._status = TelemetryStatus()
        # Of spans and of metrics, since an engine may take the ones and not the others.
        self._problems: dict[str, str] = {}
        self._unsendable = ""
        self._told_dropped = 0

    def start(self) -> None:
        """Start the thread."""
        SupervisedThread(
            f"capa-telemetry-{self._name}",
            self._work,
            log=partial(telemetry.logger, "telemetry", self._name),
            stopping=lambda: self._over,
        ).start()

    @property
    def status(self) -> TelemetryStatus:
        """The numbers of spans and reports, and the last error."""
        problem = next(iter(self._problems.values()), "")
        return replace(self._status, waiting_spans=len(self._queue), problem=problem)

    def put(self, span: ReadableSpan) -> None:
        """Take *span*; drop it if the queue is full."""
        with self._changed:
            if len(self._queue) >= self._settings.max_queue_spans or self._over:
                self._add(dropped_spans=1)
                return
            self._queue.append(span)
            if len(self._queue) == self._full:
                self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Send what there is now, and return whether that ended within *timeout_s*."""
        with self._changed:
            self._asked += 1
            ticket = self._asked
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._answered >= ticket or self._over, timeout_s)

    def begin_stop(self, timeout_s: float) -> None:
        """Let the thread send the last ones within *timeout_s*, and end. A second call does nothing."""
        with self._changed:
            if self._stopping:
                return
            self._end = time.monotonic() + timeout_s
            self._stopping = True
            self._changed.notify_all()

    def stop(self, timeout_s: float) -> None:
        """Wait until the last ones are sent: *timeout_s* at most since `begin_stop`, which it calls too."""
        self.begin_stop(timeout_s)
        with self._changed:
            self._changed.wait_for(lambda: self._over, max(0.0, self._end - time.monotonic()))
            self._over = True
            left = len(self._queue)
            self._queue.clear()
            self._add(dropped_spans=left)
        if left:
            self._tell("spans were dropped at the end of the process", f"not sent within {timeout_s:g} s")

    # --- the thread

    def _work(self) -> None:
        while not self._over:
            asked, stopping = self._wait()
            everything = stopping or asked > self._answered
            self._send_spans()
            if self.reader is not None and (everything or time.monotonic() >= self._report_at):
                self._report_at = time.monotonic() + self._settings.metrics_interval_s
                self._send_metrics(self.reader)
            self._tell_dropped()
            with self._changed:
                self._answered = asked
                if stopping:
                    self._over = True
                self._changed.notify_all()

    def _wait(self) -> tuple[int, bool]:
        """Wait until there is something to do; return the number of calls of `flush`, and whether it is the end."""
        with self._changed:
            self._changed.wait_for(self._is_due, self._rest_s())
            return self._asked, self._stopping

    def _is_due(self) -> bool:
        if self._stopping or self._asked > self._answered:
            return True
        return len(self._queue) >= self._full and time.monotonic() >= self._resume_at

    def _rest_s(self) -> float:
        if self.reader is None:
            return self._settings.interval_s
        return min(self._settings.interval_s, max(0.0, self._report_at - time.monotonic()))

    def _send_spans(self) -> None:
        for _ in range(len(self._queue)):  # those of now: others come meanwhile
            batch = self._batch()
            if not batch:
                return
            if not self._send_batch(batch):
                self._resume_at = time.monotonic() + self._settings.interval_s
                return

    def _batch(self) -> list[ReadableSpan]:
        with self._changed:
            number = min(len(self._queue), self._settings.max_batch_spans)
            return [self._queue.popleft() for _ in range(number)]

    def _send_batch(self, batch: list[ReadableSpan]) -> bool:
        """Return whether to go on with the next one. What was neither sent nor dropped is in the queue again."""
        parts = [batch]
        try:
            while parts and self._send_last(parts):
                pass
            return not parts
        finally:
            self._put_back([span for part in reversed(parts) for span in part])

    def _send_last(self, parts: list[list[ReadableSpan]]) -> bool:
        """Send the last of *parts* and remove it; return whether to go on with the others.

        One that the driver cannot send is halved, so that a span which cannot be encoded takes no other with it.
        """
        part = parts[-1]
        try:
            refused = self._driver.send_spans(part, self._left_s())
        except Exception as error:  # noqa: BLE001 - every engine raises its own; none may end the reports
            named = self._named(error)
            if named is None and len(part) > 1:
                middle = len(part) // 2
                parts[-1:] = [part[middle:], part[:middle]]
                return True
            if named is None or not named.retryable:
                self._add(dropped_spans=len(parts.pop()))
            if named is None:
                self._unsendable = _reason(error)
            else:
                self._failed("spans", error)
            return named is None or not named.retryable
        parts.pop()
        self._add(sent_spans=len(part) - refused, dropped_spans=refused)
        self._delivered("spans")
        return True

    def _put_back(self, spans: list[ReadableSpan]) -> None:
        with self._changed:
            if self._stopping:
                self._add(dropped_spans=len(spans))
            else:
                self._queue.extendleft(reversed(spans))

    def _send_metrics(self, reader: Metrics) -> None:
        try:
            metrics = reader.collected()
            if metrics is None or not metrics.resource_metrics:
                return
            self._driver.send_metrics(metrics, self._left_s())
        except Exception as error:  # noqa: BLE001 - as above; the SDK gives up when callbacks of the application take 10 s
            self._add(failed_metrics=1)
            self._failed("metrics", error)
            return
        self._add(sent_metrics=1)
        self._delivered("metrics")

    def _left_s(self) -> float:
        return max(0.001, min(self._settings.timeout_s, self._end - time.monotonic()))

    # --- what happened

    def _add(self, **numbers: int) -> None:
        """Add to the numbers of the status."""
        with self._changed:
            self._status = replace(
                self._status,
                **{name: getattr(self._status, name) + number for name, number in numbers.items()},
            )

    def _named(self, error: Exception) -> type[CapaError] | None:
        """Return the type of *error*; `None` if it is not one of the engine."""
        return type(error) if isinstance(error, CapaError) else self._driver.name_error(error)

    def _failed(self, signal: str, error: Exception) -> None:
        """Tell of the first of several failures."""
        with self._changed:
            was_well = not self._problems
            self._problems = {**self._problems, signal: _reason(error)}
        if was_well:
            self._tell(f"telemetry is not delivered: {_NEXT_STEP}", self.status.problem)

    def _delivered(self, signal: str) -> None:
        """Tell of the first success after all failures."""
        if signal not in self._problems:
            return
        with self._changed:
            self._problems = {key: problem for key, problem in self._problems.items() if key != signal}
            dropped = self._status.dropped_spans
        if not self._problems:
            self._told_dropped = dropped
            telemetry.logger("telemetry", self._name).info(
                "telemetry is delivered again", dropped_spans=dropped
            )

    def _tell_dropped(self) -> None:
        dropped = self._status.dropped_spans
        if self._over or not dropped > self._told_dropped == 0:  # at the end, `stop` has told it
            return
        self._told_dropped = dropped
        if self._unsendable:
            self._tell(
                "spans that cannot be sent are dropped: correct their names or attributes", self._unsendable
            )
        else:
            self._tell(
                "spans were dropped, and more may be: raise `max_queue_spans` or lower `sample` of this component",
                self.status.problem or "the queue was full, or the engine refused them",
            )

    def _tell(self, message: str, reason: str) -> None:
        telemetry.logger("telemetry", self._name).warning(
            message, reason=reason, engine=self._driver.address(), dropped_spans=self._status.dropped_spans
        )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


class Spans(SpanProcessor):
    """Passes each span that began in this process to *put*, at its end."""

    def __init__(self, put: Callable[[ReadableSpan], None]) -> None:
        self._put = put
        self._process = os.getpid()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span; called by the SDK.

        One that was open while this child was forked is the parent's, as is the lock behind *put*.
        """
        if os.getpid() == self._process and span.context is not None and span.context.trace_flags.sampled:
            self._put(span)


class Metrics(MetricReader):
    """Returns all metrics when it is asked.

    Args:
        deltas: Whether counts are those since the last time; the sizes of what goes up and down are always of now.
    """

    def __init__(self, *, deltas: bool) -> None:
        kinds = (Counter, Histogram, ObservableCounter) if deltas else ()
        super().__init__(preferred_temporality=dict.fromkeys(kinds, AggregationTemporality.DELTA))
        self._received: MetricsData | None = None

    def collected(self) -> MetricsData | None:
        """Return the metrics of now; `None` if there are none."""
        self._received = None
        self.collect()
        return self._received

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any) -> None:
        del timeout_millis
        self._received = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Do nothing: the exporter ends the reports."""
