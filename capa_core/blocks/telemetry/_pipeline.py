"""The SDK of OpenTelemetry in this process, from the components that report; renewed in each forked child."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased

from capa_core.blocks.telemetry._exporter import Exporter
from capa_core.blocks.telemetry._providers import Meters, Tracers
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature, TelemetryStatus
from capa_core.blocks.telemetry.settings import ExportSettings, ProcessSettings
from capa_core.call import telemetry

TRACERS = Tracers()
METERS = Meters()

_running: Pipeline | None = None


class Reporter:
    """One component in the pipeline: an exporter that sends, or a reader that the engine reads.

    Attributes:
        ends: Whether its component is about to be closed.
    """

    def __init__(self, name: str, driver: TelemetryDriver[Any]) -> None:
        self.name = name
        self.driver = driver
        self.ends = False
        self.exporter: Exporter | None = None
        self.reader: MetricReader | None = None
        self.opened()

    def opened(self) -> None:
        """Make the exporter, or the reader, of this process."""
        if self.driver.features[TelemetryFeature.SCRAPE]:
            self.reader = self.driver.reader()
        elif isinstance(self.driver.settings, ExportSettings):
            self.exporter = Exporter(self.name, self.driver, self.driver.settings)
            self.reader = self.exporter.reader

    @property
    def status(self) -> TelemetryStatus:
        """See `TelemetryStatus`."""
        return self.exporter.status if self.exporter else TelemetryStatus()

    def flush(self, timeout_s: float) -> bool:
        """Send what there is now, and return whether that ended within *timeout_s*."""
        return self.exporter is None or self.exporter.flush(timeout_s)

    def begin_stop(self) -> None:
        """Begin to send the last ones."""
        if self.exporter is not None:
            self.exporter.begin_stop(self.driver.settings.flush_s)

    def stop(self) -> None:
        """Send the last ones, within `flush_s` of the settings."""
        if self.exporter is not None:
            self.exporter.stop(self.driver.settings.flush_s)


class Pipeline:
    """The reporters of one runtime. The process has one at a time; a later one takes the place of the one before."""

    def __init__(self, reporters: Sequence[Reporter], settings: ProcessSettings) -> None:
        self._reporters = list(reporters)
        self._settings = settings
        self._process = os.getpid()
        given = {"service.name": settings.service_name} if settings.service_name else {}
        self._resource = Resource.create({**given, **settings.attributes})

    def start(self) -> None:
        """Report from now on all that this process records."""
        global _running  # noqa: PLW0603 - there is one per process
        if _running is not None:
            telemetry.logger("telemetry", "default").warning(
                "the telemetry of another runtime of this process ends: start one runtime with [telemetry]"
            )
        _set_global_providers()
        _running = self
        self._open()
        multiprocessing.util.register_after_fork(self, Pipeline._stop_with_child)
        if multiprocessing.parent_process() is not None:
            self._stop_with_child()

    def leave(self, reporter: Reporter) -> None:
        """Stop *reporter*; when none is left, nothing is recorded any more.

        The others that are about to be closed begin to stop too, so that the end takes one `flush_s` and not one each.
        """
        global _running  # noqa: PLW0603 - as above
        for each in self._reporters:
            if each.ends:
                each.begin_stop()
        reporter.stop()
        with suppress(ValueError):  # it has left before
            self._reporters.remove(reporter)
        if _running is self and not self._reporters:
            _running = None
            TRACERS.use(None)
            METERS.use(None)
            telemetry.use(None, None)

    def renew(self) -> None:
        """Report in a forked child what this process records, and nothing of its parent."""
        self._process = os.getpid()
        for reporter in self._reporters:
            reporter.driver.forget()
            reporter.opened()
        self._open()
        atexit.register(self._stop_in, self._process)

    def _open(self) -> None:
        resource = self._resource.merge(_of_this_process())
        exporters = [each.exporter for each in self._reporters if each.exporter is not None]
        processors = [each.processor for each in exporters if each.processor is not None]
        readers = [each.reader for each in self._reporters if each.reader is not None]
        tracers = TracerProvider(sampler=self._sampler(), resource=resource, shutdown_on_exit=False)
        for processor in processors:
            tracers.add_span_processor(processor)
        TRACERS.use(tracers if processors else None)
        METERS.use(
            MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
            if readers
            else None
        )
        telemetry.use(TRACERS if processors else None, METERS if readers else None)
        for exporter in exporters:
            exporter.start()

    def _sampler(self) -> Sampler | None:
        share = self._settings.sample
        return None if share is None else ParentBased(TraceIdRatioBased(share))

    def dropped(self) -> Iterable[Observation]:
        """Yield the spans that each component has dropped."""
        for each in self._reporters:
            if each.exporter is not None:
                yield Observation(each.status.dropped_spans, {"capa.component": each.name})

    def _stop_with_child(self) -> None:
        """In a child of multiprocessing, which ends without `atexit`: stop when it ends."""
        multiprocessing.util.Finalize(None, self._stop_in, args=(os.getpid(),), exitpriority=0)

    def _stop_in(self, process: int) -> None:
        if os.getpid() == process == self._process:
            for reporter in self._reporters:
                reporter.begin_stop()
            for reporter in self._reporters:
                reporter.stop()


def _of_this_process() -> Resource:
    return Resource({"service.instance.id": str(uuid.uuid4()), "process.pid": os.getpid()})


def _set_global_providers() -> None:
    """Let OpenTelemetry's API lead to this pipeline too, unless the application has set providers of its own."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(TRACERS)
    if isinstance(metrics.get_meter_provider(), metrics._internal._ProxyMeterProvider):
        metrics.set_meter_provider(METERS)


def _dropped(_options: CallbackOptions) -> Iterable[Observation]:
    return _running.dropped() if _running is not None else ()


_DROPPED: Callable[[CallbackOptions], Iterable[Observation]] = _dropped
METERS.get_meter(telemetry.SCOPE).create_observable_counter(
    "capa.telemetry.dropped",
    [_DROPPED],
    unit="{span}",
    description="Spans that were dropped: the queue was full, or the engine refused them.",
)


def _after_fork() -> None:
    if _running is not None:
        _running.renew()


os.register_at_fork(after_in_child=_after_fork)
