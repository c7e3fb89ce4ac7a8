"""`celery.app.base` with Capa's application as `Celery`."""

from typing import TYPE_CHECKING, Any

from celery.app.base import *  # noqa: F403 - for type checkers and readers

from capa_celery._app import Celery
from capa_core import shims as _shims

App = Celery

if TYPE_CHECKING:  # as in the generated modules

    def __getattr__(name: str) -> Any: ...


_shims.mirror(__name__, "celery.app.base")
