"""`celery.contrib.testing.manager`: the very same module, shared with its state and patches (see `_same`)."""

from celery.contrib.testing.manager import *  # noqa: F403 - for type checkers and readers

from capa_celery import _same

_same.module(__name__)
