"""Telemetry of Celery's workers: each process of a pool reports its own calls, the last ones too."""

import os

import pytest
from celery_engines import SQLITE
from celery_fleet import Fleet, app, children

TASK = """
from capa_core import default_runtime

@app.task(shared=False)
def store(number):
    default_runtime().state("reports").put(f"report-{number}", b"x")
    note(number)
    return os.getpid()
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("fleet", [SQLITE], indirect=True)
@pytest.mark.server("otlp")
def test_each_process_of_a_prefork_pool_sends_its_own(fleet: Fleet, otlp) -> None:
    settings = fleet.folder / "capa.toml"
    table = f'[telemetry.default]\ndriver = "otlp"\nurl = "{otlp.url}"\ninterval_s = 3600\n'
    settings.write_text(f"{settings.read_text()}\n{table}")
    fleet.add_code(TASK)
    with fleet.worker("-P", "prefork", "-c", "2") as worker:
        for number in range(10):
            app().send_task("killed.store", [number])
        fleet.wait_until(10)
        pool = set(children(worker.pid))
        worker.terminate()
        assert 0 == worker.wait(90)

    puts = [
        (process, span.span_id)
        for process, span in otlp.spans()
        if span.name == "state put" and process in pool
    ]
    stored = [metric for process, metric in otlp.metrics() if process in pool]
    assert len(puts) == len(set(puts)) >= 10
    assert os.getpid() not in {process for process, _ in otlp.spans()}
    assert "db.client.operation.duration" in {metric.name for metric in stored}
