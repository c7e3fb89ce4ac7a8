"""Revoked tasks: a list in the state component that every worker watches."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from celery.worker import state as worker_state

from capa_celery._threads import WorkerThread
from capa_core.call.loggers import named_logger
from capa_core.errors import CapaError, ConflictError

if TYPE_CHECKING:
    from capa_celery._app import Celery
    from capa_core import State

logger = named_logger("celery.capa.worker")

KEY = "celery-revoked"
KEPT_S = 10_800.0
"""As long as Celery's own workers remember a revocation."""
MAX_REVOKED = 10_000
WAIT_S = 5.0


def revoke(store: State, task_ids: Iterable[str]) -> None:
    """Add tasks to the list; workers see it at once, and those that start later too."""
    expires = time.time() + KEPT_S
    while True:
        present = store.get_item(KEY)
        listed: dict[str, float] = json.loads(present.value) if present else {}
        listed = {task_id: until for task_id, until in listed.items() if until > time.time()}
        listed.update(dict.fromkeys(task_ids, expires))
        newest = dict(sorted(listed.items(), key=lambda pair: pair[1])[-MAX_REVOKED:])
        try:
            store.put_json(KEY, newest, ttl=KEPT_S, if_etag=present.etag if present else "", notify=True)
        except ConflictError:
            continue
        return


class RevocationWatch(WorkerThread):
    """Keeps Celery's own set of revoked tasks in this process up to date."""

    def __init__(self, app: Celery) -> None:
        self._stopped = threading.Event()
        super().__init__("capa-revoked", self._watch, stopping=self._stopped.is_set)
        self._app = app
        self._etag = ""

    def look(self, wait_s: float = 0.0) -> None:
        """Take over the list if it has changed; before the first task is received, and then from the thread."""
        try:
            item = self._app.capa.state.wait(KEY, self._etag, timeout=wait_s)
        except CapaError as error:
            if self._stopped.is_set():  # the worker has ended, and its runtime may be closed
                return
            logger.warning("the list of revoked tasks could not be read, trying again: %s", error)
            self._stopped.wait(wait_s)
            return
        if item is not None:
            self._etag = item.etag
            for task_id in json.loads(item.value):
                worker_state.revoked.add(task_id)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            self.look(WAIT_S)

    def stop(self) -> None:
        """End the watch. Its thread ends with its last wait, which need not be awaited."""
        self._stopped.set()
