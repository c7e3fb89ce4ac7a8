"""The overhead of a portable call over one of the driver: checks, error translation, retries, telemetry."""

from functools import partial

from benchmarks.measure import Row, compare, difference_at_most
from capa_core import Runtime, State
from capa_core.blocks.state.driver import Put, StateDriver
from capa_core.components.memory.state import MemoryState, MemoryStateSettings

BAR = difference_at_most(3e-6)


def run() -> list[Row]:
    """Compare on the memory driver, whose own cost is negligible."""
    driver: StateDriver = MemoryState(MemoryStateSettings())
    state = State(driver)
    state.put("key", b"value")
    with Runtime.in_memory() as runtime:
        return [
            Row(
                "state.get", "its driver", compare(partial(driver.get, "key"), partial(state.get, "key")), BAR
            ),
            Row(
                "state.put",
                "its driver",
                compare(lambda: driver.put(Put("key", b"value")), partial(state.put, "key", b"value")),
                BAR,
            ),
            Row(
                'runtime.state("orders") again',
                "a dict look-up",
                compare(partial({"orders": state}.get, "orders"), partial(runtime.state, "orders")),
                BAR,
            ),
        ]
