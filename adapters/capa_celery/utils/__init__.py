"""`celery.utils`: its names, and its submodules that are served."""

from celery.utils import *  # noqa: F403 - for type checkers and readers

from capa_celery import _same

_same.mirror(__name__)
