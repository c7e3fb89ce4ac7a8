# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""`celery.contrib.django`: its names, and the submodules that this adapter has."""

from celery.contrib.django import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims

_shims.mirror(__name__, "celery.contrib.django")
