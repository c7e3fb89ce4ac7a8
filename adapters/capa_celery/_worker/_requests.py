"""Celery's lists of requests in a worker, filled for the length of a command that asks for them.

Capa's worker makes no `Request` for a task that runs to its end, so these lists are empty at other times.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from celery.worker import state

if TYPE_CHECKING:
    from capa_celery._worker._consumer import Consumer
    from capa_celery._worker._jobs import Job
    from capa_celery._worker._outcomes import Outcome

_filling = threading.Lock()
"""Celery's lists are of the process, and several workers may be embedded in it."""


@contextmanager
def known_requests(consumer: Consumer) -> Iterator[None]:
    """Fill `celery.worker.state` with the tasks that a worker runs and those that wait in it."""
    with _filling:
        requests = _requests(consumer)
        for request in requests:
            state.task_reserved(request)
            if request.time_start:
                state.active_requests.add(request)
        try:
            yield
        finally:
            for request in requests:
                state.task_ready(request)


def _requests(consumer: Consumer) -> list[Any]:
    pool = consumer.served_pool
    running = pool.running()
    found = []
    for job in consumer.jobs.all():
        request = pool.request_of(job, partial(_settle, consumer, job))
        if request is None:
            continue
        if job.number in running:
            since, request.worker_pid = running[job.number]
            request.time_start = time.time() - (time.monotonic() - since)
        found.append(request)
    return found


def _settle(consumer: Consumer, job: Job, outcome: Outcome) -> None:
    consumer.jobs.settle([(job, outcome)])
