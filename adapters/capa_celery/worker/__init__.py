"""`celery.worker` with Capa's `WorkController`."""

from celery.worker import *  # noqa: F403 - for type checkers and readers

from capa_celery._worker.controller import WorkController as WorkController
from capa_core import shims as _shims

_shims.mirror(__name__, "celery.worker")
