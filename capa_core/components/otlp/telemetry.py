"""Telemetry to a collector, or to a backend that speaks OTLP, over HTTP with binary protobuf.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from google.protobuf.message import DecodeError, Message
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from pydantic import Field

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature
from capa_core.blocks.telemetry.settings import ExportSettings
from capa_core.errors import CapaError, InvalidArgumentError, PermissionDeniedError, UnavailableError
from capa_core.http import ERROR_TYPES, Answer, Endpoint, NotSentError
from capa_core.secret import Secret

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.trace import ReadableSpan

_TRACES = "/v1/traces"
_METRICS = "/v1/metrics"
_PROTOBUF = "application/x-protobuf"
_MOST_BYTES = 4 * 1024 * 1024
_RETRYABLE = (429, 502, 503, 504)
_TOO_LARGE = 413
_REFUSED = (
    400,
    _TOO_LARGE,
    415,
    422,
)  # the request itself, whoever answers: no repeat helps, and it holds up the others
_GRPC_PORT = 4317
_ADDRESS = (
    "Correct `url` of the component: the address of a collector for OTLP over HTTP, by default port 4318"
)


class OtlpTelemetrySettings(ExportSettings):
    """The address of a collector and what goes with each request.

    Attributes:
        url: The address, without `/v1/traces`.
        headers: Sent with each request, such as the key of a backend.
        compression: The compression of requests.
        verify: Whether to check the certificate of an https address, or the path of a file with the trusted ones.
    """

    url: str = Field(default="http://localhost:4318", repr=False)
    headers: dict[str, Secret] = {}
    compression: Literal["gzip", "none"] = "gzip"
    verify: bool | str = True


@dataclass(frozen=True, slots=True)
class _Request:
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    verb: str = "POST"


class OtlpTelemetry(TelemetryDriver[OtlpTelemetrySettings]):
    """One kept-alive connection, and one deadline for each request."""

    settings_type = OtlpTelemetrySettings
    features = {
        TelemetryFeature.BOUNDED: BY_CORE,
        TelemetryFeature.FORKS: BY_CORE,
        TelemetryFeature.TRACES: NATIVE,
        TelemetryFeature.METRICS: NATIVE,
        TelemetryFeature.SCRAPE: absent("metrics are sent to the collector"),
    }
    error_types = {**ERROR_TYPES, DecodeError: UnavailableError}

    def __init__(self, settings: OtlpTelemetrySettings) -> None:
        super().__init__(settings)
        self._endpoint = Endpoint(settings.url, verify=settings.verify, size=1)

    def send_spans(self, spans: Sequence[ReadableSpan], timeout_s: float) -> int:
        """See `TelemetryDriver.send_spans`."""
        answer = self._post(_TRACES, encode_spans(spans), timeout_s)
        return ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans

    def send_metrics(self, metrics: MetricsData, timeout_s: float) -> int:
        """See `TelemetryDriver.send_metrics`."""
        answer = self._post(_METRICS, encode_metrics(metrics), timeout_s)
        return ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points

    def ping(self) -> str:
        """See `Driver.ping`: it sends a request without spans."""
        self._post(_TRACES, ExportTraceServiceRequest(), self.settings.timeout_s)
        return f"a collector for OTLP at {self._endpoint.url}"

    def close(self) -> None:
        """See `Driver.close`."""
        self._endpoint.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._endpoint.forget()

    def _post(self, path: str, message: Message, timeout_s: float) -> bytes:
        """Send *message*, and return the body of the answer."""
        headers = {"Content-Type": _PROTOBUF}
        headers |= {name: value.reveal() for name, value in self.settings.headers.items()}
        body = message.SerializeToString()
        if self.settings.compression == "gzip":
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1, mtime=0)
        request = _Request(path, tuple(headers.items()), body)
        answer = self._exchange(request, time.monotonic() + timeout_s)
        if error := self._error(answer, path):
            raise error
        return answer.body

    def _exchange(self, request: _Request, end: float) -> Answer:
        try:
            return self._endpoint.exchange(request, end, most_bytes=_MOST_BYTES)
        except NotSentError:
            raise
        except OSError as error:
            if self._endpoint.port != _GRPC_PORT:
                raise
            raise UnavailableError(
                f"{error}. Port {_GRPC_PORT} is that of OTLP over gRPC. {_ADDRESS}"
            ) from error

    def _error(self, answer: Answer, path: str) -> CapaError | None:
        place = f"{self._endpoint.url}{path}"
        if answer.status // 100 == 2 and (answer.kind == _PROTOBUF or not answer.body):
            return None
        said = f"{place} answers with status {answer.status} and {answer.kind}"
        if answer.status in (401, 403):
            return PermissionDeniedError(f"{said}. Correct `headers` of the component, such as its key")
        if answer.status == _TOO_LARGE:
            return InvalidArgumentError(
                f"{said}: the request was too large. Raise the limit there, or lower `max_batch_spans` of the component"
            )
        is_strange = answer.kind != _PROTOBUF or answer.status < 400
        if answer.status in _RETRYABLE or (is_strange and answer.status not in _REFUSED):
            return UnavailableError(f"{said}, not as a collector does. {_ADDRESS}")
        return InvalidArgumentError(f"{said}. {_ADDRESS}")
