"""Spans for every call, one trace across processes and messages, and no cost without an SDK."""

import subprocess
import sys
import threading

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from capa_core import Runtime, Service
from capa_core.call import telemetry


@pytest.fixture
def spans(monkeypatch):
    """The recorded spans; a process can set its provider only once, so the test replaces it underneath."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter.get_finished_spans
    provider.shutdown()


@pytest.fixture
def runtime():
    with Runtime.in_memory() as runtime:
        yield runtime


def test_a_call_of_a_block_is_a_span_with_its_component(runtime, spans):
    runtime.state("orders").put("k", b"v")

    (span,) = [span for span in spans() if span.name == "state put"]
    assert "MemoryState" == span.attributes["capa.driver"]


def test_an_error_is_recorded_on_the_span(runtime, spans):
    with pytest.raises(Exception, match="does not have the etag"):
        runtime.state().put("k", b"v", if_etag="stale")

    assert [span.name for span in spans()] == ["state put"]


def test_one_trace_goes_through_a_call_over_http(spans, tmp_path):
    service = Service("greeter")
    service.register("hello", lambda _call: "hi")
    served = service.serve()
    with Runtime({"invocation": {"greeter": {"url": served.url}}}, start=tmp_path, environ={}) as runtime:
        runtime.invocation("greeter").invoke("hello")
    served.close()

    (server,) = (span for span in spans() if span.kind.name == "SERVER")
    (client,) = (span for span in spans() if span.context.span_id == server.parent.span_id)
    assert "CLIENT" == client.kind.name
    assert client.context.trace_id == server.context.trace_id


def test_one_trace_goes_through_a_message(runtime, spans):
    handled = threading.Event()
    runtime.pubsub().subscribe("events", lambda _message: handled.set())
    tracer = trace.get_tracer("test")
    with tracer.start_as_current_span("request") as request:
        runtime.pubsub().publish("events", b"x")
    assert handled.wait(5)
    runtime.close()

    traces = {span.kind.name: span.context.trace_id for span in spans() if span.kind.name != "CLIENT"}
    ours = request.get_span_context().trace_id
    assert {"INTERNAL": ours, "PRODUCER": ours, "CONSUMER": ours} == traces


def test_what_a_program_does_not_use_is_not_even_imported():
    program = (
        "import sys; from capa_core import Runtime; from capa_core.call.telemetry import logger\n"
        "with Runtime.in_memory() as runtime:\n"
        "    runtime.state().put('k', b'v')\n"
        "    runtime.pubsub().subscribe('events', print)\n"
        "    runtime.pubsub().intake('events', 'other')\n"
        "    runtime.lock().lock('k').acquire()\n"
        "    logger('state', 'default').warning('careful')\n"
        "print(any(name.startswith(('opentelemetry', 'structlog')) for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, cwd="/"
    )

    assert ("False\n", "careful block='state' component='default'\n") == (done.stdout, done.stderr)


def test_without_a_configuration_of_structlog_logs_go_to_logging(caplog, capsys):
    log = telemetry.logger("state", "orders")
    try:
        raise RuntimeError("boom")
    except RuntimeError:
        log.exception("it failed", key="100 %")

    assert ["capa.state"] == [record.name for record in caplog.records]
    assert "it failed block='state' component='orders' key='100 %'" in caplog.text
    assert "RuntimeError: boom" in caplog.text
    assert "" == capsys.readouterr().out


def test_a_configuration_of_structlog_is_used_from_then_on():
    log = telemetry.logger("state", "orders").bind(key="k")
    log.warning("before")
    with structlog.testing.capture_logs() as logs:
        log.warning("careful")

    assert [
        {"block": "state", "component": "orders", "key": "k", "event": "careful", "log_level": "warning"}
    ] == logs
