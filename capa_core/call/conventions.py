"""Names of metrics and attributes: OpenTelemetry's semantic conventions, and `capa.*` where they have none.

https://opentelemetry.io/docs/specs/semconv/
"""

from __future__ import annotations

from dataclasses import dataclass

# Advised by the conventions for the durations of HTTP and database calls alike.
_SHORT_S = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        unit: In UCUM, such as `s` or `{message}`.
        boundaries: The upper bounds of the buckets of a histogram; empty for a counter.
    """

    name: str
    unit: str
    description: str
    boundaries: tuple[float, ...] = ()


def _duration(name: str, description: str, boundaries: tuple[float, ...] = _SHORT_S) -> Metric:
    return Metric(name, "s", description, boundaries)


HTTP_CLIENT_DURATION = _duration(
    "http.client.request.duration", "Duration of HTTP client requests.", _REQUEST_S
)
HTTP_SERVER_DURATION = _duration(
    "http.server.request.duration", "Duration of HTTP server requests.", _REQUEST_S
)
PROCESS_DURATION = _duration("messaging.process.duration", "Duration of processing operation.", _REQUEST_S)
SENT_MESSAGES = Metric(
    "messaging.client.sent.messages",
    "{message}",
    "Number of messages producer attempted to send to the broker.",
)
CONSUMED_MESSAGES = Metric(
    "messaging.client.consumed.messages",
    "{message}",
    "Number of messages that were delivered to the application.",
)
LOST_LOCKS = Metric("capa.lock.lost", "{lock}", "Locks that were lost while they were held.")
LOST_LEASES = Metric(
    "capa.messaging.lease.lost", "{message}", "Messages whose lease ran out while they were processed."
)


@dataclass(frozen=True, slots=True)
class Convention:
    """The names for the calls that a block makes to its engine.

    Attributes:
        duration: The metric of calls: their number and seconds, and with `error.type` those that failed.
        operation: The attribute for the call.
        system: The attribute for the engine.
    """

    duration: Metric
    operation: str
    system: str


CAPA = Convention(
    _duration("capa.client.operation.duration", "Duration of calls to an engine."),
    "capa.operation.name",
    "capa.system.name",
)
DATABASE = Convention(
    _duration("db.client.operation.duration", "Duration of database client operations."),
    "db.operation.name",
    "db.system.name",
)
MESSAGING = Convention(
    _duration(
        "messaging.client.operation.duration",
        "Duration of messaging operation initiated by a producer or consumer client.",
    ),
    "messaging.operation.name",
    "messaging.system",
)
