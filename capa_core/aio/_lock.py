"""The lock for async code: held by a task, where the blocking one is held by a thread."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from capa_core.aio._facade import ClosableFacade


class Lock(ClosableFacade):
    """A lock for `async with`, which takes it for the current task; many tasks may share this object."""

    def _hold(self, blocking: Any) -> None:
        super()._hold(blocking)
        self._held: dict[asyncio.Task[Any] | None, list[Any]] = {}

    async def __aenter__(self) -> Any:
        held = await self.acquire()
        self._held.setdefault(asyncio.current_task(), []).append(held)
        return held

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        held = self._held[task].pop()
        if not self._held[task]:
            del self._held[task]
        await held.__aexit__(kind, error, trace)
