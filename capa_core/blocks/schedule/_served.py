"""A job that this process has a handler for: its lock, and its runs here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from capa_core.blocks.lock import Held
from capa_core.blocks.schedule._run import Run
from capa_core.blocks.schedule.driver import JobSpec, Outcome
from capa_core.call.traits import blocking, call_traits
from capa_core.supervision import LoggedThread

Handler = Callable[[Run], Any]


class RunThread(LoggedThread):
    """The thread of one run, which must not wait for the end of runs."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run, which is still to be stored."""

    id: str
    outcome: Outcome
    detail: str
    at: datetime


@dataclass(slots=True)
class Served:
    """One job of this process.

    Attributes:
        held: The lock of its leader, if this process is it.
        next_at: Its next run, as last seen.
        is_declared: Whether the definition was stored.
        is_tried: Whether this process has tried once to lead it.
        is_leaving: Whether its handler is to begin no more runs.
        running: The runs whose handlers run here, by id.
        replaced: The ids of those that were told to make way.
        endings: The runs that have ended here, until that is stored.
    """

    name: str
    spec: JobSpec
    handler: Handler
    held: Held | None = None
    next_at: datetime | None = None
    is_declared: bool = False
    is_tried: bool = False
    is_leaving: bool = False
    running: dict[str, Run] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    endings: list[Ending] = field(default_factory=list)

    def known(self) -> set[str]:
        """Return the ids of the runs that began here and whose end is not stored."""
        return {*self.running, *(ending.id for ending in self.endings)}

    def is_done(self) -> bool:
        """Return whether nothing is left to do at the end; without its lock the ends are the next leader's."""
        return not self.running and (not self.endings or self.held is None or self.held.lost.is_set())

    def forget(self) -> None:
        """Drop the lock and the runs, which are those of the parent of this forked child."""
        self.held = None
        self.is_tried = False
        self.running, self.endings, self.replaced = {}, [], set()

    def make_way(self) -> None:
        """Tell the handlers that run to end for the next run."""
        for ident, run in list(self.running.items()):
            self.replaced.add(ident)
            run.stop.set()

    def stop_runs(self) -> None:
        """Tell the handlers that run to end early."""
        for run in list(self.running.values()):
            run.stop.set()


@blocking()
class Registration:
    """A handler that is registered for a job in this process. Made by `Schedule.add`."""

    def __init__(self, name: str, leave: Callable[[bool, float | None], None]) -> None:
        self.name = name
        self._leave = leave

    @call_traits(waits=True)
    def close(self, *, drain: bool = True, timeout_s: float | None = None) -> None:
        """Begin no more runs of the job in this process, and let others lead it. The job itself stays.

        A second `close` does nothing.

        Args:
            drain: `False` does not wait for handlers that run. Their outcomes are stored when they end.
            timeout_s: For how long to wait for them; `None` for no limit.
        """
        self._leave(drain and not isinstance(threading.current_thread(), RunThread), timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
