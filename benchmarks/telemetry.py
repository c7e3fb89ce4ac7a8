"""The overhead of reports: a call with metrics alone, and with a recorded span too, over one without telemetry."""

from functools import partial

from benchmarks.measure import Row, compare, difference_at_most
from capa_core import Runtime, State
from capa_core.components.memory.state import MemoryState, MemoryStateSettings

BAR = difference_at_most(150e-6)


def run() -> list[Row]:
    """Compare on the memory driver, whose own cost is negligible; most of the rest is OpenTelemetry's SDK."""
    driver = MemoryState(MemoryStateSettings())
    return [
        Row(work, "its driver", _figures(driver, table), BAR)
        for work, table in (
            ("state.get, no telemetry", None),
            ("state.get, metrics", {"driver": "prometheus"}),
            ("state.get, metrics and a span", {"driver": "memory"}),
            ("state.get, metrics and no span (sample = 0)", {"driver": "memory", "sample": 0}),
        )
    ]


def _figures(driver, table):
    with Runtime.in_memory({"telemetry": {"default": table}} if table else {}) as runtime:
        runtime.lock()  # the first component starts the reports
        state = State(driver)
        state.put("key", b"value")
        return compare(partial(driver.get, "key"), partial(state.get, "key"))
