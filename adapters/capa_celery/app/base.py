"""`celery.app.base` with Capa's application as `Celery`."""

from celery.app.base import *  # noqa: F403 - for type checkers and readers

from capa_celery import _same
from capa_celery._app import Celery

App = Celery

_same.mirror(__name__)
