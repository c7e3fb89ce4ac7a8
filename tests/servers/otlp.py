"""A receiver of OTLP over HTTP for tests: of our own, with the protobuf types of OpenTelemetry, and faults to order."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from ._process import free_port
from ._program import OwnServer
from ._threaded import ThreadedServer

PROGRAM = OwnServer("otlp", "of our own, over OpenTelemetry's protobuf types", __file__)

THREADS = "otlp-test-receiver"
_HTML = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"


class OtlpReceiver:
    """Requests in memory, in threads of the test's process.

    Attributes:
        wrong: How it answers wrongly: a status, `html`, or `silent` for no answer at all; `None` for rightly.
        wrong_at: The same for one path alone.
        kind: The media type of a wrong status.
        first_bytes: What it says in place of any answer.
        refuses: The spans of each request that it tells it has refused.
        requests: Those that it has answered rightly, as the protobuf messages.
        seen: The number of requests that came.
        headers: Those of the last request.
    """

    def __init__(self) -> None:
        self.wrong: int | str | None = None
        self.kind = "application/x-protobuf"
        self.first_bytes = b""
        self.wrong_at: dict[str, int | str] = {}
        self.refuses = 0
        self.requests: list[Any] = []
        self.seen = 0
        self.headers: dict[str, str] = {}
        self.released = threading.Event()
        self.port = free_port()
        self._server = ThreadedServer(
            self.port, type("BoundHandler", (_Handler,), {"receiver": self}), THREADS
        )
        self._server.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[tuple[int, Any]]:
        """Return each span that came, with the id of its process."""
        return [
            (_process(resource), span)
            for request in list(self.requests)
            for resource in getattr(request, "resource_spans", ())
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> list[tuple[int, Any]]:
        """Return each metric of each report that came, with the id of its process."""
        return [
            (_process(resource), metric)
            for request in list(self.requests)
            for resource in getattr(request, "resource_metrics", ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    def stop(self) -> None:
        """Let go of the silent requests, and accept no more connections."""
        self.released.set()
        self._server.stop()


def attributes_of(one: Any) -> dict[str, Any]:
    """Return the attributes of a protobuf message, each as the plain value."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in one.attributes}


def _process(resource: Any) -> int:
    return int(attributes_of(resource.resource)["process.pid"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    receiver: OtlpReceiver

    def do_POST(self) -> None:
        from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

        receiver = self.receiver
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        receiver.headers = dict(self.headers.items())
        receiver.seen += 1
        wrong = receiver.wrong_at.get(self.path, receiver.wrong)
        if receiver.first_bytes:
            self.wfile.write(receiver.first_bytes)
            self.close_connection = True
        elif wrong == "silent":
            receiver.released.wait(60)
            self.close_connection = True
        elif wrong == "html":
            self._send(200, _HTML, "text/html; charset=utf-8")
        elif wrong is not None:
            self._send(int(wrong), b"", receiver.kind)
        elif self.path == "/v1/traces":
            receiver.requests.append(traces.ExportTraceServiceRequest.FromString(body))
            answer = traces.ExportTraceServiceResponse()
            answer.partial_success.rejected_spans = receiver.refuses
            self._send(200, answer.SerializeToString(), "application/x-protobuf")
        elif self.path == "/v1/metrics":
            receiver.requests.append(metrics.ExportMetricsServiceRequest.FromString(body))
            self._send(
                200, metrics.ExportMetricsServiceResponse().SerializeToString(), "application/x-protobuf"
            )
        else:
            self._send(404, b"404 page not found", "text/plain")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    """Start a receiver."""
    receiver = OtlpReceiver()
    yield receiver
    receiver.stop()
