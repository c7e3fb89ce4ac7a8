"""`celery.utils.functional`: the very same module, so that its state and patches on it are shared (see `_same`)."""

from celery.utils.functional import *  # noqa: F403 - for type checkers and readers

from capa_celery import _same

_same.module(__name__)
