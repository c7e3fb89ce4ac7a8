"""OpenTelemetry spans and metrics, W3C context and structured logs, at no cost where no SDK is configured.

The libraries are used only if the application has imported them: an application without telemetry pays neither for
the import nor for a span.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from capa_core.call.conventions import Metric
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError
from capa_core.forks import first_use

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.trace import Span, SpanKind, Tracer, TracerProvider

SCOPE = "capa_core"
_TRACER_NAMED = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ
_METER_NAMED = "OTEL_PYTHON_METER_PROVIDER" in os.environ

_tracers: TracerProvider | None = None
_meters: MeterProvider | None = None


def use(tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
    """Record through these providers in place of the process's own; `None` for each that nothing reads."""
    global _tracers, _meters
    _tracers, _meters = tracers, meters


def observing() -> bool:
    """Return whether calls are traced or measured in this process."""
    return "opentelemetry" in sys.modules and (tracing() or measuring())


def tracing() -> bool:
    """Return whether an OpenTelemetry tracer provider is configured in this process."""
    if _tracers is not None:
        return True
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    # While none is set, `get_tracer_provider` reads the environment each time, at ten times the cost of this check.
    if not _TRACER_NAMED and getattr(trace, "_TRACER_PROVIDER", trace) is None:
        return False
    provider = trace.get_tracer_provider()
    return not isinstance(provider, trace.ProxyTracerProvider) and getattr(provider, "is_read", True)


def measuring() -> bool:
    """Return whether an OpenTelemetry meter provider is configured in this process."""
    if _meters is not None:
        return True
    metrics = sys.modules.get("opentelemetry.metrics._internal")
    if metrics is None:
        return False
    if not _METER_NAMED and getattr(metrics, "_METER_PROVIDER", metrics) is None:  # as above
        return False
    provider = metrics.get_meter_provider()
    return not isinstance(provider, metrics._ProxyMeterProvider) and getattr(provider, "is_read", True)


@contextmanager
def span(name: str, attributes: Mapping[str, Any], *, kind: str = "CLIENT") -> Iterator[Span | None]:
    """Run the block inside a span, which records an exception that leaves it; `None` if tracing is off.

    Args:
        name: Low in cardinality, such as `state get`.
        attributes: Named by OpenTelemetry's semantic conventions where there is one.
        kind: A member name of `opentelemetry.trace.SpanKind`.
    """
    if not tracing():
        yield None
        return
    with _tracer().start_as_current_span(name, kind=_kind(kind), attributes=attributes) as current:
        yield current


@contextmanager
def measured(metric: Metric, attributes: Mapping[str, Any]) -> Iterator[MutableMapping[str, Any]]:
    """Record the seconds that the block takes, with `error.type` if an exception leaves it; nothing if that is off.

    Yields a mapping for attributes that are known later, such as the status of an answer.
    """
    more: dict[str, Any] = {}
    if not measuring():
        yield more
        return
    started = time.perf_counter()
    try:
        yield more
    except BaseException as error:
        more["error.type"] = error_type(error)
        raise
    finally:
        seconds = time.perf_counter() - started
        _instruments().histogram(metric).record(seconds, {**attributes, **more} if more else attributes)


def count(metric: Metric, attributes: Mapping[str, Any], number: int = 1) -> None:
    """Add *number* to the counter *metric*; do nothing if metrics are off."""
    if number and "opentelemetry" in sys.modules and measuring():
        _instruments().counter(metric).add(number, attributes)


@contextmanager
def counted(metric: Metric, attributes: Mapping[str, Any], number: int) -> Iterator[None]:
    """Add *number* to the counter *metric* at the end of the block, with `error.type` if an exception leaves it."""
    more: dict[str, Any] = {}
    try:
        yield
    except BaseException as error:
        more["error.type"] = error_type(error)
        raise
    finally:
        count(metric, {**attributes, **more}, number)


def error_type(error: BaseException) -> str:
    """Return the `error.type` of *error*: Capa's code, or the name of its class."""
    return error.code if isinstance(error, CapaError) else type(error).__qualname__


def trace_fields() -> dict[str, str]:
    """Return `trace_id` and `span_id` of the current span, in hexadecimal digits; nothing outside of any."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def inject(carrier: MutableMapping[str, str]) -> None:
    """Write the current W3C trace context and baggage into *carrier*; do nothing if tracing is off."""
    if tracing():
        from opentelemetry.propagate import inject as write

        write(carrier)


@contextmanager
def continued(carrier: Mapping[str, str]) -> Iterator[None]:
    """Run the block as a child of the trace whose context *carrier* holds, if it holds one."""
    if not tracing():
        yield
        return
    from opentelemetry import context, propagate

    token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)


class _Instruments:
    """The instruments that one meter provider has made."""

    def __init__(self, provider: MeterProvider) -> None:
        self.provider = provider
        self._meter = provider.get_meter(SCOPE)
        self._made: dict[str, Any] = {}

    def histogram(self, metric: Metric) -> Histogram:
        """Return the histogram of *metric*."""
        found: Histogram | None = self._made.get(metric.name)
        if found is not None:
            return found
        with first_use:
            return self._made.setdefault(  # type: ignore[no-any-return]
                metric.name,
                self._meter.create_histogram(
                    metric.name,
                    metric.unit,
                    metric.description,
                    explicit_bucket_boundaries_advisory=metric.boundaries,
                ),
            )

    def counter(self, metric: Metric) -> Counter:
        """Return the counter of *metric*."""
        found: Counter | None = self._made.get(metric.name)
        if found is not None:
            return found
        with first_use:
            return self._made.setdefault(  # type: ignore[no-any-return]
                metric.name, self._meter.create_counter(metric.name, metric.unit, metric.description)
            )


_last: _Instruments | None = None
_last_tracer: tuple[TracerProvider, Tracer] | None = None


def _instruments() -> _Instruments:
    global _last  # noqa: PLW0603 - there is one provider per process, but for tests
    from opentelemetry import metrics

    provider = _meters or metrics.get_meter_provider()
    found = _last
    if found is None or found.provider is not provider:
        found = _last = _Instruments(provider)
    return found


def _tracer() -> Tracer:
    global _last_tracer  # noqa: PLW0603 - as above
    from opentelemetry import trace

    provider = _tracers or trace.get_tracer_provider()
    found = _last_tracer
    if found is None or found[0] is not provider:  # to make one takes longer than to make a span
        found = _last_tracer = (provider, provider.get_tracer(SCOPE))
    return found[1]


class Logger:
    """Fields for log messages, whose methods are those of a logger of structlog.

    Each message follows the configuration of structlog that the application has made by then; without one it goes to
    `logging.getLogger("capa.<block>")`, since a library must not print to standard output. structlog is not imported
    for that: it would take most of the time in which a process starts without its engine.
    """

    def __init__(self, plain: logging.Logger, fields: Mapping[str, Any]) -> None:
        self._plain = plain
        self._fields = fields

    def bind(self, **fields: Any) -> Logger:
        """Return a logger with these fields too."""
        return Logger(self._plain, {**self._fields, **fields})

    def __getattr__(self, method: str) -> Callable[..., object]:
        fields = {**trace_fields(), **self._fields}
        structlog = sys.modules.get("structlog")
        is_configured = getattr(structlog, "is_configured", None)  # missing while another thread imports it
        if structlog is None or is_configured is None or not is_configured():
            return partial(_log, getattr(self._plain, method), fields)
        bound = structlog.get_logger("capa").bind(**fields)
        return cast("Callable[..., object]", getattr(bound, method))


def logger(block: str, component: str) -> Logger:
    """Return a logger bound to *block* and *component*."""
    return Logger(named_logger(f"capa.{block}"), {"block": block, "component": component})


def _log(
    log: Callable[..., None], bound: Mapping[str, Any], event: str, /, *, exc_info: Any = None, **fields: Any
) -> None:
    """Write one text with all fields by *log*, a method of a logger of `logging`."""
    text = event + "".join(f" {key}={value!r}" for key, value in {**bound, **fields}.items())
    log(text, **({} if exc_info is None else {"exc_info": exc_info}))


def _kind(name: str) -> SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind[name]
