"""The cost of `delay()` for its caller."""

from functools import partial

from benchmarks.celery_workers import Side, sides
from benchmarks.measure import Row, interleave, ratio_at_most

CALLS = 2000
SEND = """
import time
from bench import {task} as task
task.delay({arguments})
start = time.perf_counter()
for _ in range({calls}):
    task.delay({arguments})
print((time.perf_counter() - start) / {calls})
"""


def run() -> list[Row]:
    """Send tasks whose results are kept, and tasks whose results are ignored."""
    rows = []
    with sides() as (peer, ours):
        for task, arguments in (("add", "1, 2"), ("noop", "")):
            code = SEND.format(task=task, arguments=arguments, calls=CALLS)
            figures = interleave(partial(_send, peer, code), partial(_send, ours, code))
            note = "result ignored" if task == "noop" else "result kept"
            rows.append(Row("delay() on Redis", "celery", figures, ratio_at_most(0.30), note=note))
    return rows


def _send(side: Side, code: str) -> float:
    return float(side.script(code))
