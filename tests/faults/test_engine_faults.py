"""A sample of `make faults`: on each engine everything breaks once, and what was sent is done.

Celery's workers and their processes are killed in `test_celery_worker_kills.py` and `test_celery_child_kills.py`.
"""

import os

import pytest
from reliability.cell import Cell
from reliability.engine import engines
from reliability.faults import FAULTS
from reliability.page import BACK_S

from capa_core.conformance._tolerance import PROMPT_S, SLOW_MACHINE_S

pytestmark = pytest.mark.timeout(180)

ONE_BY_ONE = ["worker-killed", "connection-cut", "broker-killed", "black-hole", "consumer-paused"]
DISK_FULL = [] if os.geteuid() else ["disk-full"]
"""Only root may mount the small disk that is filled."""
TOO_LONG = {"kafka": DISK_FULL, "rabbitmq": DISK_FULL}
"""Their brokers take long to start once more: `make faults` alone has it."""
EACH = 80
MOST_RUNS = 3
"""A run is done again in which the room that an engine had set aside was enough for it on a full disk."""
ENGINES = [
    pytest.param(name, marks=[pytest.mark.server(engine.program.name)] if engine.program else [])
    for name, engine in engines().items()
]


@pytest.mark.parametrize("engine", ENGINES)
def test_messages_outlive_each_fault(engine, tmp_path, record_property):
    """As the page promises, but for what comes again of a process that stood still past its lease."""
    left_out = {*engines()[engine].not_run, *TOO_LONG.get(engine, ())}
    faults = [name for name in ONE_BY_ONE + DISK_FULL if name not in left_out]
    for number in range(MOST_RUNS):
        folder = tmp_path / str(number)
        folder.mkdir()
        counts = Cell(engine, "capa", faults, EACH * len(faults), folder, say=print, late_s=PROMPT_S).run()
        if "disk-full" not in faults or counts["troubles"][-1] > 0:
            break
    record_property("counts", counts)
    print(engine, counts)

    assert (counts["sent"], 0, 0) == (counts["done"], counts["lost"], counts["ended_by_themselves"])
    assert (len(faults), 0) == (counts["faults"], counts["unexplained"])
    assert counts["duplicated"] - counts["overdue"] <= counts["in_flight"]
    assert all(back is not None and back <= BACK_S + SLOW_MACHINE_S for back in counts["recoveries"])
    if "disk-full" in faults:
        assert counts["troubles"][-1] > 0, "the disk was not full for the engine"


def test_each_engine_has_each_fault_or_says_why_not():
    for engine in engines().values():
        assert set(engine.not_run) <= set(FAULTS)
        assert all(engine.not_run.values())
