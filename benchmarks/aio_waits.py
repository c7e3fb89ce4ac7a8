"""The latency of async calls beside waiting ones: a `get` must not queue behind them."""

import asyncio
import time
from collections.abc import Sequence

from benchmarks.measure import Figures, Row, ours_at_most, ratio_at_most
from capa_core import aio

CALLS = 2_000
BARS = {"median": (0.5, ratio_at_most(1.5)), "p99": (0.99, ours_at_most(0.01))}


def run() -> list[Row]:
    """Time gets alone and beside waits, in turn."""
    return asyncio.run(_rows())


async def _rows() -> list[Row]:
    rows = []
    async with aio.Runtime.in_memory() as runtime:
        state = runtime.state()
        await state.put("k", b"v")
        for waits in (64, 200):
            alone, beside = await _gets_s(state), await _beside_s(state, waits)
            for name, (share, bar) in BARS.items():
                figures = Figures(peer=_at(alone, share), ours=_at(beside, share))
                work = f"async get beside {waits} waits, {name}"
                rows.append(Row(work, "the same get alone", figures, bar))
    return rows


async def _beside_s(state: aio.State, waits: int) -> list[float]:
    waiting = [asyncio.create_task(state.wait(f"never-{n}", timeout=60)) for n in range(waits)]
    await asyncio.sleep(0.5)
    seen = await _gets_s(state)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return seen


async def _gets_s(state: aio.State) -> list[float]:
    seen = []
    for _ in range(CALLS):
        start = time.perf_counter()
        await state.get("k")
        seen.append(time.perf_counter() - start)
    return sorted(seen)


def _at(seen: Sequence[float], share: float) -> float:
    return seen[int(len(seen) * share)]
