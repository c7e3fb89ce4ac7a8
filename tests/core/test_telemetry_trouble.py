"""A collector in trouble neither slows nor breaks the application: what is too much is dropped, counted and told."""

import time

import pytest
from servers._process import free_port

from capa_core import Runtime, supervision
from capa_core.call import telemetry
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError, PermissionDeniedError, UnavailableError

pytestmark = pytest.mark.server("otlp")


@pytest.fixture
def runtime_to(otlp):
    """A function that returns a runtime which reports to the receiver, or to *url*."""
    made = []

    def make(url=otlp.url, **settings):
        table = {"driver": "otlp", "url": url, "interval_s": 0.05, "flush_s": 0.001, **settings}
        made.append(Runtime.in_memory({"telemetry": {"default": table}}))
        return made[-1]

    yield make
    otlp.released.set()
    for runtime in made:
        runtime.close()


def warnings_of(caplog):
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(503, "status 503"), ("html", "status 200 and text/html"), (404, "status 404"), (301, "status 301")],
    ids=str,
)
def test_a_wrong_answer_is_told_once_with_the_next_step(runtime_to, otlp, wrong, said, caplog):
    otlp.wrong = wrong
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    wait_until(lambda: otlp.seen >= 3 or wrong == 404)
    runtime.telemetry().flush(PATIENCE_S)

    assert said in runtime.telemetry().status.problem
    (warning,) = [each for each in warnings_of(caplog) if "not delivered" in each]
    assert said in warning
    assert "capa doctor" in warning


def test_a_collector_that_is_down_is_told_once(runtime_to, caplog):
    runtime = runtime_to(f"http://127.0.0.1:{free_port()}")
    for _ in range(3):
        runtime.state().put("k", b"v")
        runtime.telemetry().flush(PATIENCE_S)

    (warning,) = warnings_of(caplog)
    assert "cannot connect" in warning
    assert 3 == runtime.telemetry().status.waiting_spans


def test_what_waited_is_sent_when_the_collector_is_back(runtime_to, otlp, caplog):
    caplog.set_level("INFO")
    otlp.wrong = 503
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    wait_until(lambda: runtime.telemetry().status.problem)
    otlp.wrong = None
    wait_until(lambda: runtime.telemetry().status.sent_spans == 1)
    runtime.telemetry().flush(PATIENCE_S)

    assert "telemetry is delivered again" in caplog.text
    assert ["state put"] == [span.name for _, span in otlp.spans()]


def test_a_full_queue_drops_counts_and_tells(runtime_to, otlp, caplog):
    otlp.wrong = 503
    runtime = runtime_to(max_queue_spans=5, max_batch_spans=2)
    state = runtime.state()
    wait_until(lambda: state.put("k", b"v") and runtime.telemetry().status.dropped_spans >= 10)
    status = runtime.telemetry().status
    wait_until(lambda: any("spans were dropped" in each for each in warnings_of(caplog)))

    assert status.waiting_spans <= 5 + 2
    assert 1 == len([each for each in warnings_of(caplog) if "spans were dropped" in each])


def test_a_receiver_that_takes_traces_alone_is_told_once(runtime_to, otlp, caplog):
    """As a Jaeger, which has no metrics: a success of the spans must not end the trouble."""
    caplog.set_level("INFO")
    otlp.wrong_at = {"/v1/metrics": 404}
    runtime = runtime_to()
    for _ in range(3):
        runtime.state().put("k", b"v")
        runtime.telemetry().flush(PATIENCE_S)
    status = runtime.telemetry().status

    assert ["telemetry is not delivered"] == [each.split(":")[0] for each in warnings_of(caplog)]
    assert "telemetry is delivered again" not in caplog.text
    assert (3, 3) == (status.sent_spans, status.failed_metrics)
    assert "/v1/metrics answers with status 404" in status.problem


def test_a_span_that_cannot_be_encoded_takes_no_other_with_it(runtime_to, otlp, caplog):
    caplog.set_level("INFO")
    runtime = runtime_to(interval_s=3600)
    telemetry = runtime.telemetry()
    names = [*"abcdefg", "no text: \udcff", *"hijklm"]
    for name in names:
        telemetry.tracer("shop").start_span(name).end()
    telemetry.flush(PATIENCE_S)

    assert [each for each in names if each.isascii()] == [span.name for _, span in otlp.spans()]
    assert 1 == telemetry.status.dropped_spans
    (warning,) = warnings_of(caplog)
    assert "correct their names or attributes" in warning
    assert "telemetry is delivered again" not in caplog.text


def test_a_log_that_fails_costs_no_span(runtime_to, otlp, monkeypatch):
    def broken(*_args, **_fields):
        raise BrokenPipeError

    monkeypatch.setattr(telemetry.Logger, "warning", broken, raising=False)
    monkeypatch.setattr(supervision, "RESTART_S", 0.05)
    otlp.wrong = 503
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    wait_until(lambda: runtime.telemetry().status.problem)
    otlp.wrong = None
    wait_until(lambda: runtime.telemetry().status.sent_spans)

    assert ["state put"] == [span.name for _, span in otlp.spans()]


def test_metrics_that_cannot_be_collected_are_a_failed_report(runtime_to, otlp, monkeypatch, caplog):
    """As when a callback of the application takes so long that the SDK gives up."""

    def late(_reader):
        raise TimeoutError("Timed out while executing callback")

    monkeypatch.setattr("capa_core.blocks.telemetry._exporter.Metrics.collected", late)
    runtime = runtime_to()
    for _ in range(2):
        runtime.state().put("k", b"v")
        runtime.telemetry().flush(PATIENCE_S)
    status = runtime.telemetry().status

    assert (2, 2) == (status.sent_spans, status.failed_metrics)
    (warning,) = warnings_of(caplog)
    assert "executing callback" in warning
    assert "a thread failed" not in caplog.text


def test_a_queue_that_is_smaller_than_a_batch_is_sent_when_it_is_full(runtime_to, otlp):
    runtime = runtime_to(interval_s=3600, metrics_interval_s=3600, max_queue_spans=3, max_batch_spans=512)
    for _ in range(3):
        runtime.state().put("k", b"v")
    wait_until(lambda: len(otlp.spans()) == 3)

    assert 0 == runtime.telemetry().status.dropped_spans


def test_spans_that_the_collector_refuses_are_counted(runtime_to, otlp):
    otlp.refuses = 1
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    runtime.telemetry().flush(PATIENCE_S)

    assert (0, 1) == (runtime.telemetry().status.sent_spans, runtime.telemetry().status.dropped_spans)


def test_a_request_that_no_repeat_helps_is_dropped_and_the_next_ones_go_on(runtime_to, otlp):
    otlp.wrong = 400
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    runtime.telemetry().flush(PATIENCE_S)
    otlp.wrong = None
    runtime.state().put("k", b"v")
    runtime.telemetry().flush(PATIENCE_S)

    assert (1, 1) == (runtime.telemetry().status.sent_spans, runtime.telemetry().status.dropped_spans)


@pytest.mark.parametrize("status", [202, 204])
def test_any_success_without_a_body_is_one(status, runtime_to, otlp):
    """Else a receiver that has taken the spans would get them again and again."""
    otlp.wrong = status
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    runtime.telemetry().flush(PATIENCE_S)
    found = runtime.telemetry().status

    assert (1, 1, "") == (found.sent_spans, found.sent_metrics, found.problem)


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_request_that_a_proxy_refuses_holds_up_no_other(status, runtime_to, otlp):
    otlp.wrong, otlp.kind = status, "text/html"
    runtime = runtime_to()
    runtime.state().put("k", b"v")
    runtime.telemetry().flush(PATIENCE_S)
    found = runtime.telemetry().status

    assert (0, 1) == (found.waiting_spans, found.dropped_spans)
    assert ("max_batch_spans" in found.problem) is (status == 413)


def test_a_port_of_another_protocol_is_told_readably(runtime_to, otlp):
    """As that of OTLP over gRPC, which begins with a frame of HTTP/2."""
    otlp.first_bytes = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x1b[2J"
    with pytest.raises(UnavailableError, match="no answer in HTTP/1.1 but") as error:
        runtime_to().telemetry().ping()

    assert str(error.value).isprintable()


def test_the_port_of_grpc_is_named(monkeypatch, runtime_to, otlp):
    monkeypatch.setattr("capa_core.components.otlp.telemetry._GRPC_PORT", otlp.port)
    otlp.first_bytes = b"\x00\x00\x12\x04"
    with pytest.raises(UnavailableError, match=r"is that of OTLP over gRPC.*by default port 4318"):
        runtime_to().telemetry().ping()


def test_a_silent_collector_delays_no_call(runtime_to, otlp):
    otlp.wrong = "silent"
    runtime = runtime_to(max_queue_spans=50, max_batch_spans=10, timeout_s=60)
    state = runtime.state()
    state.put("k", b"v")
    wait_until(lambda: otlp.seen)
    began = time.monotonic()
    for _ in range(500):
        state.put("k", b"v")

    assert time.monotonic() - began < SLOW_MACHINE_S
    with pytest.raises(DeadlineError, match="goes on in the background"):
        runtime.telemetry().flush(0.01)


def test_the_end_waits_for_a_silent_collector_no_longer_than_it_may(runtime_to, otlp, caplog):
    otlp.wrong = "silent"
    runtime = runtime_to(timeout_s=60, flush_s=0.2)
    runtime.state().put("k", b"v")
    wait_until(lambda: otlp.seen)
    runtime.state().put("k", b"v")
    began = time.monotonic()
    runtime.close()

    assert time.monotonic() - began < 0.2 + SLOW_MACHINE_S
    assert any("at the end of the process" in each for each in warnings_of(caplog))


@pytest.mark.quiet
def test_the_end_waits_for_several_silent_collectors_as_for_one(otlp):
    otlp.wrong = "silent"
    table = {"driver": "otlp", "url": otlp.url, "interval_s": 0.05, "timeout_s": 60, "flush_s": 2}
    runtime = Runtime.in_memory({"telemetry": dict.fromkeys(["one", "two", "three", "four", "five"], table)})
    runtime.state().put("k", b"v")
    wait_until(lambda: otlp.seen >= 5)
    began = time.monotonic()
    runtime.end_reports()
    took_s = time.monotonic() - began
    otlp.released.set()
    runtime.close()

    assert 2 <= took_s < 2 + SLOW_MACHINE_S


def test_headers_are_sent_and_not_shown(runtime_to, otlp):
    runtime = runtime_to(headers={"x-api-key": "hunter2"}, compression="none")
    runtime.telemetry().ping()

    assert "hunter2" == otlp.headers["x-api-key"]
    assert "Content-Encoding" not in otlp.headers
    assert "hunter2" not in repr(runtime.telemetry()._driver.settings)


@pytest.mark.parametrize(
    ("wrong", "error"), [(401, PermissionDeniedError), ("html", UnavailableError)], ids=["key", "html"]
)
def test_a_ping_names_the_trouble(runtime_to, otlp, wrong, error):
    otlp.wrong = wrong

    with pytest.raises(error, match=f"{otlp.url}/v1/traces answers with status"):
        runtime_to().telemetry().ping()
