"""Lines of CloudWatch's Embedded Metric Format: valid by its schema, with the dimensions that are set."""

import json
import socketserver
import threading

import jsonschema
import pytest

from capa_core import Runtime
from capa_core.conformance._tolerance import PATIENCE_S, wait_until
from capa_core.errors import SettingsError

# The schema of the specification (see the driver), shortened to what it requires.
SCHEMA = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer"},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": {"type": "string", "minLength": 1, "maxLength": 1024},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {
                                    "type": "array",
                                    "maxItems": 30,
                                    "items": {"type": "string", "minLength": 1, "maxLength": 250},
                                },
                            },
                            "Metrics": {
                                "type": "array",
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": {"type": "string", "minLength": 1, "maxLength": 1024},
                                        "Unit": {"enum": ["Seconds", "Count", "Bytes", "None"]},
                                    },
                                },
                            },
                        },
                    },
                },
            },
        }
    },
}


@pytest.fixture
def runtime_with():
    made = []

    def make(**settings):
        table = {"driver": "cloudwatch", "service_name": "shop", **settings}
        made.append(Runtime.in_memory({"telemetry": {"default": table}}))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()


@pytest.fixture
def lines(capfd):
    """A function that flushes, and returns the lines of the standard output since the last call."""

    def read(runtime):
        runtime.telemetry().flush(PATIENCE_S)
        return [json.loads(line) for line in capfd.readouterr().out.splitlines()]

    return read


def test_each_line_is_valid_and_has_the_dimensions(runtime_with, lines):
    runtime = runtime_with(stream="stdout")
    runtime.state().put("k", b"v")
    runtime.telemetry().meter("shop").create_counter("bytes", unit="By").add(5, {"country": "NL"})
    found = lines(runtime)

    for line in found:
        jsonschema.validate(line, SCHEMA)
    (call,) = [line for line in found if "db.client.operation.duration" in line]
    (directive,) = call["_aws"]["CloudWatchMetrics"]
    assert ("Capa", [["service.name", "capa.block", "capa.component"]]) == (
        directive["Namespace"],
        directive["Dimensions"],
    )
    assert ("shop", "state", "default", "put") == tuple(
        call[key] for key in ("service.name", "capa.block", "capa.component", "db.operation.name")
    )
    (own,) = [line for line in found if "bytes" in line]
    assert (5, "NL", [["service.name"]]) == (
        own["bytes"],
        own["country"],
        own["_aws"]["CloudWatchMetrics"][0]["Dimensions"],
    )


def test_counts_are_those_since_the_last_report(runtime_with, lines):
    runtime = runtime_with()
    orders = runtime.telemetry().meter("shop").create_counter("orders")
    reports = []
    for number in (3, 4):
        orders.add(number)
        reports += [line["orders"] for line in lines(runtime) if "orders" in line]

    assert [3, 4] == reports


def test_a_histogram_has_statistics_and_values_within_them(runtime_with, lines):
    runtime = runtime_with()
    prices = (
        runtime.telemetry()
        .meter("shop")
        .create_histogram("prices", explicit_bucket_boundaries_advisory=[1.0, 10.0])
    )
    for price in (2.0, 4.0, 30.0):
        prices.record(price)
    (line,) = [line for line in lines(runtime) if "prices" in line]

    assert {
        "Max": 30.0,
        "Min": 2.0,
        "Count": 3,
        "Sum": 36.0,
        "Values": [6.0, 20.0],
        "Counts": [2, 1],
    } == line["prices"]


def test_more_than_100_metrics_are_more_than_one_line(runtime_with, lines):
    runtime = runtime_with()
    for number in range(150):
        runtime.telemetry().meter("shop").create_counter(f"c{number}").add(1)
    found = [line for line in lines(runtime) if "c0" in line or "c149" in line]

    assert [100, 50] == [len(line["_aws"]["CloudWatchMetrics"][0]["Metrics"]) for line in found]


def test_an_agent_gets_the_lines_and_their_log_group(runtime_with):
    received = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            received.extend(self.rfile.read().splitlines())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as agent:
        threading.Thread(target=agent.serve_forever, args=(0.02,), daemon=True).start()
        runtime = runtime_with(agent=f"tcp://127.0.0.1:{agent.server_address[1]}", log_group="/shop/metrics")
        runtime.state().put("k", b"v")
        runtime.telemetry().meter("shop").create_counter("files").add(1, {"name": "no text: \udcff"})
        runtime.telemetry().flush(PATIENCE_S)
        for name in (b"db.client.operation.duration", b"files"):
            wait_until(lambda name=name: any(name in line for line in received))
        said = runtime.telemetry().ping()
        agent.shutdown()

    assert "/shop/metrics" == json.loads(received[0])["_aws"]["LogGroupName"]
    assert ["no text: \udcff"] == [json.loads(line)["name"] for line in received if b"files" in line]
    assert said.startswith("a CloudWatch agent at tcp://127.0.0.1")


@pytest.mark.parametrize("agent", ["127.0.0.1:25888", "udp://127.0.0.1:1", "tcp://host", "tcp://host:x"])
def test_a_wrong_address_of_an_agent_is_refused_at_the_start(runtime_with, agent):
    with pytest.raises(
        SettingsError, match=r"agent: is no address of a CloudWatch agent: write tcp://host:port"
    ):
        runtime_with(agent=agent).state()
