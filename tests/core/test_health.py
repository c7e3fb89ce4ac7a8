"""`/health` and `/metrics`: each component is asked, at the same time and once, and a scrape is read by Prometheus."""

import asyncio
import json
import threading
from wsgiref.util import setup_testing_defaults

import pytest
import waitress
from prometheus_client.parser import text_string_to_metric_families
from servers._process import free_port

from capa_core import Runtime
from capa_core.components.memory.sequencer import MemorySequencer
from capa_core.conformance._tolerance import PATIENCE_S, wait_until
from capa_core.errors import InvalidArgumentError
from capa_core.health import AsgiHealth, Checker, WsgiHealth


@pytest.fixture
def down():
    """Settings of a component whose engine does not answer."""
    return {"driver": "etcd", "url": f"http://127.0.0.1:{free_port()}"}


@pytest.fixture
def runtime_with():
    """A function that returns a runtime on memory, but for the given tables."""
    made = []

    def make(**tables):
        made.append(Runtime.in_memory(tables))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


def wsgi(application, path, method="GET"):
    """Return status, headers and body of the answer to a request."""
    environ, started = {"PATH_INFO": path, "REQUEST_METHOD": method}, []
    setup_testing_defaults(environ)
    body = b"".join(application(environ, lambda status, headers: started.append((status, dict(headers)))))
    ((status, headers),) = started
    return int(status.partition(" ")[0]), headers, body


def asgi(application, path, method="GET", root="", *, removed=False):
    """The same over ASGI; the server may have *removed* the root from the path."""
    scope = {"type": "http", "method": method, "path": path if removed else root + path, "root_path": root}
    sent = []

    async def send(event):
        sent.append(event)

    asyncio.run(application(scope, None, send))
    start, body = sent
    headers = {name.decode().title(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"]


each_server = pytest.mark.parametrize(
    ("kind", "ask"), [(WsgiHealth, wsgi), (AsgiHealth, asgi)], ids=["wsgi", "asgi"]
)


@each_server
def test_all_answer(kind, ask, runtime_with):
    status, headers, body = ask(kind(runtime_with(), timeout=PATIENCE_S), "/health")
    found = json.loads(body)

    assert (200, True, "application/json") == (status, found["healthy"], headers["Content-Type"])
    assert {"block": "lock", "name": "default", "driver": "memory"}.items() <= next(
        each for each in found["components"] if each["block"] == "lock"
    ).items()


@each_server
def test_one_that_is_down_is_named_with_503(kind, ask, runtime_with, down):
    status, _, body = ask(kind(runtime_with(state={"orders": down}), timeout=PATIENCE_S), "/health")
    found = json.loads(body)

    assert (503, False) == (status, found["healthy"])
    (failed,) = [each for each in found["components"] if not each["healthy"]]
    assert ("state", "orders", "etcd") == (failed["block"], failed["name"], failed["driver"])
    assert "cannot connect" in failed["said"]


@each_server
def test_prometheus_reads_the_metrics(kind, ask, runtime_with):
    runtime = runtime_with(telemetry={"scrape": {"driver": "prometheus"}})
    runtime.state().put("k", b"v")
    status, headers, body = ask(kind(runtime, timeout=PATIENCE_S), "/metrics")
    samples = {
        sample.name: sample
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.labels.get("db_operation_name") == "put"
    }

    assert (200, str(len(body))) == (status, headers["Content-Length"])
    assert 1 == samples["db_client_operation_duration_seconds_count"].value


@each_server
def test_without_a_table_metrics_are_not_found_and_say_why(kind, ask, runtime_with):
    status, _, body = ask(kind(runtime_with(), timeout=PATIENCE_S), "/metrics")

    assert 404 == status
    assert b'driver = "prometheus"' in body


@each_server
def test_other_paths_and_verbs_are_refused(kind, ask, runtime_with):
    application = kind(runtime_with(), timeout=PATIENCE_S)

    assert [404, 405] == [ask(application, "/else")[0], ask(application, "/health", "POST")[0]]
    assert "GET, HEAD" == ask(application, "/health", "POST")[1]["Allow"]
    assert (200, b"") == ask(application, "/health", "HEAD")[::2]


@pytest.mark.parametrize("root", ["/internal", "/health"])
def test_it_can_be_mounted_below_a_path(root, runtime_with):
    assert 200 == asgi(AsgiHealth(runtime_with(), timeout=PATIENCE_S), "/health", root=root)[0]


@pytest.mark.parametrize("root", ["/internal", "/he"])
def test_a_server_may_have_removed_the_path_below_which_it_is_mounted(root, runtime_with):
    assert 200 == asgi(AsgiHealth(runtime_with(), timeout=PATIENCE_S), "/health", root=root, removed=True)[0]


def test_a_receiver_of_telemetry_that_is_down_takes_no_process_out(runtime_with):
    table = {"driver": "otlp", "url": f"http://127.0.0.1:{free_port()}", "flush_s": 0.001}
    health = Checker(runtime_with(telemetry={"default": table}), timeout=PATIENCE_S).check()

    assert health.healthy
    assert ["telemetry"] == [each.block for each in health.components if not each.healthy]


def test_details_can_be_left_out(runtime_with, down):
    _, _, body = wsgi(WsgiHealth(runtime_with(state={"orders": down}), details=False), "/health")

    assert b"127.0.0.1" not in body


def test_a_wrong_setting_is_an_answer(runtime_with):
    status, _, body = wsgi(WsgiHealth(runtime_with(state={"orders": {"driver": "rediss"}})), "/health")

    assert 503 == status
    assert b"no driver 'rediss'" in body


def test_a_silent_engine_is_asked_once_and_named(runtime_with, monkeypatch):
    """However often an orchestrator asks, no further thread waits for it."""
    released, asked = threading.Event(), []

    def silent(self):
        asked.append(self)
        released.wait(PATIENCE_S)
        return "at last"

    monkeypatch.setattr(MemorySequencer, "ping", silent)
    checker = Checker(runtime_with(), timeout=0.05)
    healths = [checker.check() for _ in range(3)]
    said = {each.said for health in healths for each in health.components if each.block == "sequencer"}
    wait_until(lambda: asked)
    released.set()

    assert [False] * 3 == [health.healthy for health in healths]
    assert all(each.startswith("no answer for") for each in said)
    assert 1 == len(asked)
    wait_until(lambda: checker.check().healthy)


@pytest.mark.parametrize("timeout", [0, -1, 301, "1"], ids=repr)
def test_an_invalid_timeout_is_refused(timeout):
    with pytest.raises(InvalidArgumentError):
        Checker(timeout=timeout)


def test_the_events_of_an_asgi_server_are_answered(runtime_with):
    events, sent = iter(["lifespan.startup", "lifespan.shutdown"]), []

    async def receive():
        return {"type": next(events)}

    async def send(event):
        sent.append(event["type"])

    asyncio.run(AsgiHealth(runtime_with())({"type": "lifespan"}, receive, send))

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent


@pytest.mark.server("prometheus")
def test_a_real_prometheus_scrapes_the_process(runtime_with, prometheus_of):
    runtime = runtime_with(telemetry={"scrape": {"driver": "prometheus", "service_name": "shop"}})
    runtime.state().put("k", b"v")
    runtime.telemetry("scrape").meter("shop").create_counter("orders", unit="{order}").add(3)
    port = free_port()
    server = waitress.create_server(WsgiHealth(runtime), host="127.0.0.1", port=port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        prometheus = prometheus_of(port)
        wait_until(lambda: prometheus.query("orders_total"))

        (orders,) = prometheus.query("orders_total")
        (calls,) = prometheus.query('db_client_operation_duration_seconds_count{capa_block="state"}')
        (process,) = prometheus.query("target_info")
    finally:
        server.close()
        thread.join(PATIENCE_S)
    assert (3, 1, "shop") == (orders["value"], calls["value"], process["service_name"])
