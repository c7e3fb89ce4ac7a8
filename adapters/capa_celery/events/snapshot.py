# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""`celery.events.snapshot`: the original module itself, with its state and patches."""

from celery.events.snapshot import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims

_shims.alias(__name__, "celery.events.snapshot")
