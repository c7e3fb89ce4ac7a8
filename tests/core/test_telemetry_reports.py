"""Reports of the calls of all blocks: what capa.toml names gets them, from each process its own."""

import multiprocessing
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import structlog
from opentelemetry import metrics, trace
from servers.otlp import attributes_of

from capa_core import Runtime, Service, add_trace_fields
from capa_core.call import telemetry as calls
from capa_core.components.sqlite.state import SqliteState
from capa_core.conformance._processes import Child
from capa_core.conformance._tolerance import PATIENCE_S, wait_until
from capa_core.errors import SettingsError, UnknownNameError

MEMORY = {"default": {"driver": "memory"}}


@pytest.fixture
def runtime_with():
    """A function that returns a runtime on memory with these components of telemetry."""
    made = []

    def make(**tables):
        made.append(Runtime.in_memory({"telemetry": tables}))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def recorded(runtime_with):
    """A runtime, and functions that return its spans by name and its metrics by name."""
    runtime = runtime_with(**MEMORY)
    reports = runtime.telemetry()

    def spans():
        reports.flush(PATIENCE_S)
        return {span.name: span for span in reports._driver.spans}

    def points():
        reports.flush(PATIENCE_S)
        return {
            metric.name: list(metric.data.data_points)
            for resource in reports._driver.metrics.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    return SimpleNamespace(runtime=runtime, spans=spans, points=points, reports=reports)


# Names


def test_a_call_of_state_is_one_of_a_database(recorded):
    recorded.runtime.state("orders").put("k", b"v")

    (point,) = recorded.points()["db.client.operation.duration"]
    assert (1, "memory", "put", "default") == (
        point.count,
        *(point.attributes[key] for key in ("db.system.name", "db.operation.name", "capa.component")),
    )
    assert "put" == recorded.spans()["state put"].attributes["db.operation.name"]


def test_a_failed_call_has_the_code_of_its_error(recorded):
    with pytest.raises(Exception, match="does not have the etag"):
        recorded.runtime.state().put("k", b"v", if_etag="stale")
    with pytest.raises(TypeError):
        recorded.runtime.state()._guard.once("get", lambda: None + 1)

    kinds = [
        point.attributes.get("error.type") for point in recorded.points()["db.client.operation.duration"]
    ]
    assert {None, "TypeError"} == set(kinds)  # a condition that does not hold is an answer


def test_a_call_without_a_convention_is_one_of_capa(recorded):
    recorded.runtime.sequencer().next("invoices")

    (point,) = recorded.points()["capa.client.operation.duration"]
    assert ("sequencer", "take") == (
        point.attributes["capa.block"],
        point.attributes["capa.operation.name"],
    )


def test_messages_are_counted_by_topic(recorded):
    handled = threading.Semaphore(0)
    pubsub = recorded.runtime.pubsub()
    pubsub.subscribe("paid", lambda _message: handled.release())
    pubsub.publish("paid", b"x")
    pubsub.publish_many("paid", [b"y", b"z"])
    for _ in range(3):
        assert handled.acquire(timeout=PATIENCE_S)
    wait_until(lambda: sum(one.count for one in recorded.points()["messaging.process.duration"]) == 3)

    points = recorded.points()
    sent = points["messaging.client.sent.messages"]
    consumed = points["messaging.client.consumed.messages"]
    assert (3, 3) == (sum(one.value for one in sent), sum(one.value for one in consumed))
    assert {"paid"} == {one.attributes["messaging.destination.name"] for one in [*sent, *consumed]}
    assert "messaging.client.operation.duration" in points


def test_calls_over_http_are_measured_on_both_sides(recorded):
    service = Service("greeter")
    service.register("hello", lambda _call: "hi")
    recorded.runtime.host(service, name="greeter")
    recorded.runtime.invocation("greeter").invoke("hello")
    recorded.runtime.invocation("greeter").invoke("nothing")

    points = recorded.points()
    statuses = {
        one.attributes["http.response.status_code"]: one.attributes.get("error.type")
        for one in points["http.client.request.duration"]
    }
    (served,) = points["http.server.request.duration"]
    assert {200: None, 404: "404"} == statuses
    assert ("/hello", 200) == (
        served.attributes["http.route"],
        served.attributes["http.response.status_code"],
    )


def test_a_lost_lock_is_counted(recorded):
    locks = recorded.runtime.lock()
    held = locks.lock("stock", lease=1.0).acquire()
    locks._driver.release("stock", held.owner)
    assert held.lost.wait(PATIENCE_S)

    (point,) = recorded.points()["capa.lock.lost"]
    assert 1 == point.value


def test_dropped_spans_are_a_metric(recorded):
    (point,) = recorded.points()["capa.telemetry.dropped"]

    assert (0, "default") == (point.value, point.attributes["capa.component"])


# The application's own


def test_instruments_of_before_the_start_and_of_another_runtime_are_reported(runtime_with):
    counter = metrics.get_meter("shop").create_counter("orders")
    histogram = metrics.get_meter("shop").create_histogram("prices")
    metrics.get_meter("shop").create_observable_gauge("stock", [lambda _: [metrics.Observation(7)]])
    totals = []
    for number in (1, 5):
        with runtime_with(**MEMORY) as runtime:
            reports = runtime.telemetry()
            counter.add(number)
            histogram.record(number)
            reports.flush(PATIENCE_S)
            (resource,) = reports._driver.metrics.resource_metrics
            totals.append(
                {
                    metric.name: getattr(metric.data.data_points[0], "value", None)
                    for scope in resource.scope_metrics
                    for metric in scope.metrics
                    if scope.scope.name == "shop"
                }
            )

    assert [{"orders": 1, "prices": None, "stock": 7}, {"orders": 5, "prices": None, "stock": 7}] == totals


def test_a_span_of_the_application_is_the_parent(recorded):
    with trace.get_tracer("shop").start_as_current_span("checkout"):
        recorded.runtime.state().put("k", b"v")

    spans = recorded.spans()
    assert spans["checkout"].context.span_id == spans["state put"].parent.span_id


def test_lines_of_structlog_carry_the_trace(recorded):
    lines = []
    structlog.configure(
        processors=[add_trace_fields, lambda _logger, _method, event: lines.append(dict(event)) or ""]
    )
    log = structlog.get_logger()
    with recorded.reports.tracer("shop").start_as_current_span("checkout") as span:
        context = span.get_span_context()
        log.info("paid")
        calls.logger("state", "orders").warning("careful")
    log.info("outside")

    inside = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    assert inside.items() <= lines[0].items()
    assert inside.items() <= lines[1].items()
    assert {"event": "outside"} == lines[2]


def test_lines_of_capa_carry_the_trace_without_structlog_too(recorded, caplog):
    with recorded.reports.tracer("shop").start_as_current_span("checkout") as span:
        calls.logger("state", "orders").warning("careful")

    assert f"trace_id='{span.get_span_context().trace_id:032x}'" in caplog.text


# Settings


def test_without_a_table_nothing_is_recorded(runtime_with):
    runtime = runtime_with()
    runtime.state().put("k", b"v")

    assert not calls.observing()
    assert "nothing is reported" == runtime.telemetry().ping()


def test_a_sample_of_none_records_no_trace_but_metrics(runtime_with):
    runtime = runtime_with(default={"driver": "memory", "sample": 0})
    runtime.state().put("k", b"v")
    reports = runtime.telemetry()
    reports.flush(PATIENCE_S)

    assert 0 == reports.status.sent_spans
    assert reports._driver.metrics is not None


def test_one_component_may_have_traces_and_another_metrics(runtime_with):
    runtime = runtime_with(a={"driver": "memory", "metrics": False}, b={"driver": "memory", "traces": False})
    runtime.state().put("k", b"v")
    for name in "ab":
        runtime.telemetry(name).flush(PATIENCE_S)

    a, b = (runtime.telemetry(name)._driver for name in "ab")
    assert (1, None) == (len(a.spans), a.metrics)
    assert not b.spans
    assert b.metrics is not None


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"default": {"driver": "otlp", "url": "collector:4317"}}, "is not an HTTP address"),
        ({"default": {"driver": "otlp", "interval_s": 0}}, "interval_s: must be greater"),
        ({"default": {"driver": "otlp", "sample": 2}}, "sample: must be less"),
        ({"default": {"driver": "otlp", "endpoint": "x"}}, "unknown key 'endpoint'"),
        ({"default": {"driver": "oltp"}}, "Did you mean 'otlp'"),
        (
            {"a": {"driver": "memory", "service_name": "a"}, "b": {"driver": "memory", "service_name": "b"}},
            "telemetry.b.service_name is not that of telemetry.a",
        ),
    ],
    ids=["address", "interval", "sample", "key", "driver", "two names"],
)
def test_a_wrong_setting_fails_the_first_use_of_any_block_and_each_after_it(tables, message, runtime_with):
    runtime = runtime_with(**tables)

    for _ in range(2):
        with pytest.raises(SettingsError, match=message):
            runtime.state()


def test_a_collector_ends_no_embedded_default(tmp_path):
    (tmp_path / "capa.toml").write_text('[telemetry.default]\ndriver = "otlp"\nflush_s = 0.001\n')
    with Runtime(start=tmp_path, environ={}) as runtime:
        assert SqliteState is type(runtime.state()._driver)


def test_a_profile_without_telemetry_serves_the_other_blocks(tmp_path):
    (tmp_path / "capa.toml").write_text('[profiles.prod.state.default]\ndriver = "memory"\n')
    with Runtime(start=tmp_path, environ={}, profile="prod") as runtime:
        runtime.state().put("k", b"v")
        with pytest.raises(UnknownNameError, match="nothing serves telemetry"):
            runtime.telemetry()


def test_a_second_runtime_takes_over_and_says_so(runtime_with, caplog):
    first, second = runtime_with(**MEMORY), runtime_with(**MEMORY)
    first.state().put("k", b"v")
    second.state().put("k", b"v")
    first.close()
    second.state().put("k", b"w")
    second.telemetry().flush(PATIENCE_S)

    assert "the telemetry of another runtime of this process ends" in caplog.text
    assert 2 == second.telemetry().status.sent_spans


# Processes


@pytest.mark.server("otlp")
def test_parent_and_forked_child_send_their_calls_of_two_blocks(runtime_with, otlp):
    runtime = runtime_with(default={"driver": "otlp", "url": otlp.url, "service_name": "shop"})
    runtime.state().put("k", b"v")

    def work():
        runtime.state().get("k")
        runtime.sequencer().next("n")
        runtime.telemetry().flush(PATIENCE_S)
        return os.getpid()

    child = Child(work)
    pid = child.result()
    runtime.sequencer().next("n")
    runtime.telemetry().flush(PATIENCE_S)
    me = os.getpid()

    spans = sorted((process, span.name) for process, span in otlp.spans())
    assert spans == sorted(
        [(me, "state put"), (me, "sequencer take"), (pid, "state get"), (pid, "sequencer take")]
    )
    counts = {
        (process, metric.name, attributes_of(point).get("db.operation.name", "")): point.count
        for process, metric in otlp.metrics()
        for point in metric.histogram.data_points
    }
    assert counts == {
        (me, "db.client.operation.duration", "put"): 1,
        (me, "capa.client.operation.duration", ""): 1,
        (pid, "db.client.operation.duration", "get"): 1,
        (pid, "capa.client.operation.duration", ""): 1,
    }
    assert {"shop"} == {
        attributes_of(each.resource)["service.name"]
        for request in otlp.requests
        for each in getattr(request, "resource_spans", ())
    }


@contextmanager
def held_by_another_thread(lock):
    held, release = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            release.wait(PATIENCE_S)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(PATIENCE_S)
    yield
    release.set()
    thread.join()


@pytest.mark.server("otlp")
def test_a_span_that_is_open_during_a_fork_is_the_parents_and_can_be_continued(runtime_with, otlp):
    runtime = runtime_with(default={"driver": "otlp", "url": otlp.url})
    reports = runtime.telemetry()
    reports.meter("shop")  # so that the component is used before the fork
    exporter = reports._reporter.exporter

    def work(span):
        runtime.state().get("k")
        span.end()
        reports.flush(PATIENCE_S)
        return os.getpid()

    with reports.tracer("shop").start_as_current_span("checkout") as span:
        with held_by_another_thread(exporter._changed):  # which the child lacks
            child = Child(lambda: work(span))
        pid = child.result()
    reports.flush(PATIENCE_S)

    spans = {(process, each.name): each for process, each in otlp.spans()}
    assert {(os.getpid(), "checkout"), (pid, "state get")} == set(spans)
    assert spans[pid, "state get"].parent_span_id == spans[os.getpid(), "checkout"].span_id


@pytest.mark.server("otlp")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_decorated_function_is_a_span_in_a_forked_child_too(runtime_with, otlp):
    """As in the workers of a server that imports the application before it forks."""
    runtime = runtime_with(default={"driver": "otlp", "url": otlp.url})
    tracer = runtime.telemetry().tracer("shop")

    @tracer.start_as_current_span("checkout")
    def checkout():
        return os.getpid()

    def child():
        checkout()
        runtime.telemetry().flush(PATIENCE_S)

    forked = Child(child)
    forked.result()
    checkout()
    runtime.telemetry().flush(PATIENCE_S)

    assert {forked.pid, os.getpid()} == {process for process, span in otlp.spans() if span.name == "checkout"}


@pytest.mark.parametrize("begun", [True, False], ids=["refused at once", "refused later"])
def test_an_instrument_that_is_refused_takes_no_other_with_it(begun, runtime_with, caplog):
    """Neither in a forked child nor in the next runtime; before telemetry begins, OpenTelemetry takes any name."""
    first = runtime_with(**MEMORY)
    meter = first.telemetry().meter(f"refused-{begun}")
    good = meter.create_counter("good")
    if not begun:
        first.close()
        meter.create_counter("no näme")
    else:
        with pytest.raises(Exception, match="no näme"):
            meter.create_counter("no näme")
        first.close()
    meter.create_counter("made last")
    second = runtime_with(**MEMORY)
    second.state().put("k", b"v")
    good.add(1)
    second.telemetry().flush(PATIENCE_S)
    names = {
        metric.name
        for resource in second.telemetry()._driver.metrics.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }

    assert {"good", "db.client.operation.duration"} <= names
    assert (0 if begun else 1) == caplog.text.count("no näme")


def test_the_same_instrument_is_made_once(recorded):
    """An application that makes it for each request must not fill the memory."""
    meter = recorded.reports.meter("shop")
    for _ in range(3):
        meter.create_counter("requests", "{request}").add(1)
        meter.create_histogram("sizes", explicit_bucket_boundaries_advisory=[1, 2]).record(1)

    assert meter.create_counter("requests", "{request}") is meter.create_counter("requests", "{request}")
    assert meter.create_counter("requests", "{call}") is not meter.create_counter("requests", "{request}")
    assert (3, 3) == (recorded.points()["requests"][0].value, recorded.points()["sizes"][0].count)


def test_a_child_of_multiprocessing_sends_its_own_at_its_end(runtime_with, otlp):
    runtime = runtime_with(default={"driver": "otlp", "url": otlp.url, "interval_s": 60})
    runtime.state().put("k", b"v")
    child = multiprocessing.get_context("fork").Process(target=lambda: runtime.state().get("k"))
    child.start()
    child.join(PATIENCE_S)

    assert 0 == child.exitcode
    assert [(child.pid, "state get")] == [(process, span.name) for process, span in otlp.spans()]


@pytest.mark.server("otlp")
def test_a_spawned_process_reads_capa_toml_and_sends_at_its_end(otlp, tmp_path):
    (tmp_path / "capa.toml").write_text(f'[telemetry.default]\ndriver = "otlp"\nurl = "{otlp.url}"\n')
    program = "from capa_core import default_runtime; default_runtime().state().put('k', b'v')"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S
    )

    assert (0, "") == (ran.returncode, ran.stderr)
    assert ["state put"] == [span.name for _, span in otlp.spans()]
