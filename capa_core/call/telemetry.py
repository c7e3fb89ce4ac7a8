"""OpenTelemetry spans, W3C context and structured logs, at no cost where no SDK is configured.

The libraries are used only if the application has imported them: an application without telemetry pays neither for
the import nor for a span.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from capa_core.call.loggers import named_logger
from capa_core.forks import first_use

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind

SCOPE = "capa_core"
_NAMED_BY_ENVIRONMENT = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ


def tracing() -> bool:
    """Return whether an OpenTelemetry tracer provider is configured in this process."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return False
    # While none is set, `get_tracer_provider` reads the environment each time, at ten times the cost of this check.
    if not _NAMED_BY_ENVIRONMENT and getattr(trace, "_TRACER_PROVIDER", trace) is None:
        return False
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


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
    from opentelemetry import trace

    tracer = trace.get_tracer(SCOPE)
    with tracer.start_as_current_span(name, kind=_kind(kind), attributes=dict(attributes)) as current:
        yield current


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


class Logger:
    """Fields for log messages, which structlog writes. It is imported with the first message: most programs log none.

    Each message follows the configuration of structlog that the application has made by then; without one it goes to
    `logging.getLogger("capa.<block>")`, since a library must not print to standard output.
    """

    def __init__(self, plain: logging.Logger, fields: Mapping[str, Any]) -> None:
        self._plain = plain
        self._fields = fields

    def bind(self, **fields: Any) -> Logger:
        """Return a logger with these fields too."""
        return Logger(self._plain, {**self._fields, **fields})

    def __getattr__(self, method: str) -> Any:
        return getattr(self._made(), method)

    def _made(self) -> Any:
        with first_use:
            import structlog

        if structlog.is_configured():
            made = structlog.get_logger("capa")
        else:
            made = structlog.wrap_logger(
                self._plain, wrapper_class=structlog.stdlib.BoundLogger, processors=[_for_logging]
            )
        return made.bind(**self._fields)


def logger(block: str, component: str) -> Logger:
    """Return a logger bound to *block* and *component*, whose methods are those of a logger of structlog."""
    return Logger(named_logger(f"capa.{block}"), {"block": block, "component": component})


def _for_logging(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> tuple[tuple[str], dict[str, Any]]:
    """Return the arguments for `logging`: one text with all fields, and the traceback separately."""
    exc_info = event.pop("exc_info", None)
    text = event.pop("event")
    fields = "".join(f" {key}={value!r}" for key, value in event.items())
    return (f"{text}{fields}",), {"exc_info": exc_info} if exc_info else {}


def _kind(name: str) -> SpanKind:
    from opentelemetry.trace import SpanKind

    return SpanKind[name]
