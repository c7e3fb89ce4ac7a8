"""`celery worker`: Celery's program around Capa's controller."""

from __future__ import annotations

from celery.apps.worker import Worker as CeleryWorker

from capa_celery._worker.controller import WorkController


class Worker(WorkController, CeleryWorker):  # type: ignore[misc] # celery is not typed
    """The worker as a program: banner, logging, signal handlers and process files are Celery's."""
