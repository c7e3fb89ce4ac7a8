"""Beat inside a worker: a thread of it, which starts again when it fails."""

from __future__ import annotations

import threading
from typing import Any

from celery import signals
from celery.beat import EmbeddedService

from capa_celery._threads import WorkerThread


class EmbeddedBeat(WorkerThread):
    """Celery's embedded service, supervised: a process of its own could be killed or stopped without anyone's notice.

    Args:
        options: The arguments of Celery's `EmbeddedService`.
    """

    def __init__(self, app: Any, **options: Any) -> None:
        self._stopped = threading.Event()
        super().__init__("capa-beat", self._serve, stopping=self._stopped.is_set)
        self._app = app
        self._options = options
        self._service: Any = None

    def _serve(self) -> None:
        """Send tasks until `stop`. A service that failed has stored its last runs and left its lock to this one."""
        self._app.set_current()
        self._service = EmbeddedService(self._app, thread=True, **self._options).service
        signals.beat_embedded_init.send(sender=self._service)
        if not self._stopped.is_set():
            self._service.start()

    def stop(self) -> None:
        """Let the running tick end, and another beat take over."""
        self._stopped.set()
        if self._service is not None:
            self._service.stop()
        if self.is_alive():
            self.join()
