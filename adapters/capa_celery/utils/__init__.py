# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""`celery.utils`: its names, and the submodules that this adapter has."""

from celery.utils import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims

_shims.mirror(__name__, "celery.utils")
