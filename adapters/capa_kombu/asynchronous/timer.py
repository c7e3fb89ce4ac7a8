# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.
"""`kombu.asynchronous.timer`: the original module itself, with its state and patches."""

from typing import TYPE_CHECKING, Any

from kombu.asynchronous.timer import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims

if TYPE_CHECKING:  # names that a type checker does not find in an original without types

    def __getattr__(name: str) -> Any: ...


_shims.alias(__name__, "kombu.asynchronous.timer")
