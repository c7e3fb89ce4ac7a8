"""`celery.bin.celery`: the very same module, shared with its state and patches (see `_same`)."""

from celery.bin.celery import *  # noqa: F403 - for type checkers and readers

from capa_celery import _same

_same.module(__name__)
