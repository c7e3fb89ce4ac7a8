"""Telemetry: spans and metrics of this process, to the engines that capa.toml names."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

from capa_core.blocks.telemetry.driver import (
    TelemetryDriver,
    TelemetryFeature,
    TelemetryLimits,
    TelemetryStatus,
)
from capa_core.call import DEFAULT_POLICY, Policy, telemetry
from capa_core.call.checks import Duration, seconds
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import ClosedError, DeadlineError, MissingExtraError, SettingsError, UnsupportedError
from capa_core.forks import first_use
from capa_core.installing import extra_command

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

    from capa_core.blocks.telemetry._pipeline import Pipeline, Reporter
    from capa_core.blocks.telemetry.settings import ProcessSettings

_ONE_PER_PROCESS = ("service_name", "attributes", "sample")


class Telemetry(Portable[TelemetryDriver[Any]]):
    """The spans and metrics of this process on their way to one engine. Safe for many threads.

    A runtime starts all `[telemetry.<name>]` components of capa.toml with its first component, and each reports the
    calls of all blocks. An application adds spans and metrics of its own:

        tracer, meter = telemetry.tracer("shop"), telemetry.meter("shop")
        orders = meter.create_counter("orders", unit="{order}")
        with tracer.start_as_current_span("checkout"):
            orders.add(1, {"country": "NL"})

    They go to all components. No call waits for an engine but `flush`, `close`, `ping` and `exposition`.
    """

    def __init__(
        self, driver: TelemetryDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("telemetry", driver, name, policy)
        self._limits = TelemetryLimits()
        if driver.features[TelemetryFeature.TRACES]:
            queue, batch = driver.settings.max_queue_spans, driver.settings.max_batch_spans
            self._limits = TelemetryLimits(max_queue_spans=queue, max_batch_spans=batch)
        self._pipeline: Pipeline | None = None
        self._reporter: Reporter | None = None
        self._closed = False

    @property
    def limits(self) -> TelemetryLimits:
        """The bounds of what waits to be sent."""
        return self._limits

    @property
    def status(self) -> TelemetryStatus:
        """The numbers of this process: sent, dropped, waiting."""
        return self._reporter.status if self._reporter is not None else TelemetryStatus()

    @call_traits(immediate=True)
    def tracer(self, name: str) -> Tracer:
        """Return OpenTelemetry's tracer for the spans of *name*, such as the name of a package."""
        from opentelemetry import trace

        if self._pipeline is None:
            return trace.get_tracer(name)
        from capa_core.blocks.telemetry._pipeline import TRACERS

        return TRACERS.get_tracer(name)

    @call_traits(immediate=True)
    def meter(self, name: str) -> Meter:
        """Return OpenTelemetry's meter for the metrics of *name*, such as the name of a package."""
        from opentelemetry import metrics

        if self._pipeline is None:
            return metrics.get_meter(name)
        from capa_core.blocks.telemetry._pipeline import METERS

        return METERS.get_meter(name)

    def flush(self, timeout: Duration = 5.0) -> None:
        """Send what was recorded until now, to this engine.

        It returns when each was sent or dropped, or is kept since the engine does not answer: see `status`.

        Args:
            timeout: 0 to 300 s.

        Raises:
            DeadlineError: It has not ended in time, and goes on.
            ClosedError: The component is closed.
        """
        timeout_s = seconds("timeout", timeout, most=300.0)
        self._check_open()
        if self._reporter is not None and not self._reporter.flush(timeout_s):
            raise DeadlineError(
                f"telemetry {self.name!r} was not sent within {timeout_s:g} s; it goes on in the background."
            )

    def exposition(self) -> tuple[bytes, str]:
        """Return all metrics in the form that the engine fetches, and its content type.

        Raises:
            UnsupportedError: The component sends metrics by itself, or has none: it has no SCRAPE.
        """
        support = self._features[TelemetryFeature.SCRAPE]
        if not support:
            raise UnsupportedError(
                f"telemetry {self.name!r} has no {TelemetryFeature.SCRAPE}: {support.note}."
            )
        self._check_open()
        return self._driver.exposition()

    def summary(self) -> str:
        """See `Portable.summary`."""
        status = self.status
        if not self._limits.max_queue_spans:
            return ""
        return f"{counted(status.sent_spans, 'span')} sent, {status.dropped_spans:,} dropped"

    def stop(self) -> None:
        """See `Portable.stop`: what is recorded is still reported, until `close`."""
        if self._reporter is not None:
            self._reporter.ends = True

    @call_traits(waits=True)
    def close(self) -> None:
        """Send the last ones within `flush_s` of the settings, and end. A second call does nothing."""
        self._closed = True
        if self._pipeline is not None and self._reporter is not None:
            self._pipeline.leave(self._reporter)
        super().close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"telemetry {self.name!r} is closed; nothing was done.")

    def _join(self, pipeline: Pipeline, reporter: Reporter) -> None:
        self._pipeline, self._reporter = pipeline, reporter

    def _part(self) -> tuple[str, TelemetryDriver[Any]] | None:
        """Return the name and the driver, if there is anything to report to."""
        reports = self._features[TelemetryFeature.TRACES] or self._features[TelemetryFeature.METRICS]
        return (self.name, self._driver) if reports else None


def start(components: Sequence[Telemetry]) -> None:
    """Report to *components*, from now until the last of them is closed, all that this process and its children record.

    Raises:
        MissingExtraError: OpenTelemetry's SDK is not installed.
        SettingsError: Two components disagree about the process.
    """
    parts = [(one, part) for one in components if (part := one._part()) is not None]
    if not parts:
        return
    settings = _agreed([one for one, _ in parts])
    with first_use:
        try:
            from capa_core.blocks.telemetry._pipeline import Pipeline, Reporter
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                f"[telemetry] needs the library {error.name!r}. Run: {extra_command('telemetry')}"
            ) from error
    reporters = [Reporter(*part) for _, part in parts]
    pipeline = Pipeline(reporters, settings)
    for (one, _), reporter in zip(parts, reporters, strict=True):
        one._join(pipeline, reporter)
    pipeline.start()


def _agreed(components: Sequence[Telemetry]) -> ProcessSettings:
    """Return the settings of the process, each from the components that have it."""
    from capa_core.blocks.telemetry.settings import ProcessSettings

    found: dict[str, tuple[str, Any]] = {}
    for one in components:
        given = one._driver.settings
        for key in _ONE_PER_PROCESS:
            if key not in given.model_fields_set:
                continue
            value = getattr(given, key)
            other, before = found.setdefault(key, (one.name, value))
            if before != value:
                raise SettingsError(
                    f"telemetry.{one.name}.{key} is not that of telemetry.{other}, but a process has one."
                    " Nothing was started; write the same in both, or leave one out."
                )
    return ProcessSettings(**{key: value for key, (_, value) in found.items()})


def add_trace_fields(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add `trace_id` and `span_id` of the current span to a line: a processor for `structlog.configure`.

    Lines of Capa have them anyway; a line outside of any span has none.
    """
    for key, value in telemetry.trace_fields().items():
        event.setdefault(key, value)
    return event
