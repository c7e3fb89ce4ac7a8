"""`celery.app` with Capa's application as `Celery`."""

from typing import TYPE_CHECKING, Any

from celery.app import *  # noqa: F403 - for type checkers and readers
from celery.app import app_or_default as app_or_default
from celery.app import shared_task as shared_task

from capa_celery._app import Celery as Celery
from capa_core import shims as _shims

if TYPE_CHECKING:  # as in the generated modules

    def __getattr__(name: str) -> Any: ...


_shims.mirror(__name__, "celery.app")
