"""`celery.worker` with Capa's `WorkController`."""

from celery.worker import *  # noqa: F403 - for type checkers and readers

from capa_celery import _same
from capa_celery._worker.controller import WorkController as WorkController

_same.mirror(__name__)
