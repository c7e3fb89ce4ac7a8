"""The threads of a worker."""

from __future__ import annotations

from collections.abc import Callable

from capa_core.call.loggers import named_logger
from capa_core.runtime import default_runtime, pin_runtime
from capa_core.supervision import SupervisedThread

logger = named_logger("celery.capa.worker")


class _Log:
    """The worker's log, for the messages of supervision."""

    def error(self, message: str, *, thread: str, traceback: str) -> None:
        """Log *message*."""
        logger.error("%s: %s\n%s", thread, message, traceback)


class WorkerThread(SupervisedThread):
    """A supervised thread, pinned to the runtime of the thread that starts it.

    It may outlive its worker, by a task that was abandoned or by a last wait, and the program may have put another
    runtime in place by then.
    """

    def __init__(self, name: str, work: Callable[[], object], *, stopping: Callable[[], bool]) -> None:
        super().__init__(name, work, log=_Log, stopping=stopping)

    def start(self) -> None:
        """Start *work* in the thread."""
        self._runtime = default_runtime()
        super().start()

    def run(self) -> None:
        """Run *work*."""
        with pin_runtime(self._runtime):
            super().run()
