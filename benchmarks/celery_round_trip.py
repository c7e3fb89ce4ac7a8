"""The time that a caller waits for the result of one task."""

import time

from benchmarks.celery_workers import Side, sides
from benchmarks.measure import Row, interleave, ratio_at_most

CALL = """
import time
from bench import add
add.delay(1, 2).get(timeout=60)
times = []
for _ in range(300):
    start = time.perf_counter()
    add.delay(1, 2).get(timeout=60)
    times.append(time.perf_counter() - start)
print(sorted(times)[len(times) // 2])
"""


def run() -> list[Row]:
    """Call one task after another on an idle worker."""
    with sides() as (peer, ours), peer.worker("prefork", 2), ours.worker("prefork", 2):
        time.sleep(5)
        figures = interleave(lambda: _call(peer), lambda: _call(ours))
        return [
            Row(
                "task round trip with result",
                "celery",
                figures,
                ratio_at_most(0.25),
                note="Redis, prefork -c 2",
            )
        ]


def _call(side: Side) -> float:
    return float(side.script(CALL))
