"""The threads of a worker."""

from __future__ import annotations

import threading
from collections.abc import Callable

from capa_core.runtime import default_runtime, pin_runtime


class WorkerThread(threading.Thread):
    """A thread pinned to the runtime of the thread that starts it.

    It may outlive its worker, by a task that was abandoned or by a last wait, and the program may have put another
    runtime in place by then.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        super().__init__(name=name, target=work, daemon=True)

    def start(self) -> None:
        """Start *work* in the thread."""
        self._runtime = default_runtime()
        super().start()

    def run(self) -> None:
        """Run *work*."""
        with pin_runtime(self._runtime):
            super().run()
