"""`celery`, served by Capa.

    from capa_celery import Celery, shared_task

Classes, decorators, canvas, results, signals and the command line are the installed original's; an application made
here publishes, runs its tasks and keeps its results by the components that capa.toml names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capa_celery._sdk import SDK as _SDK
from capa_core import shims as _shims

try:
    import celery as _original
except ModuleNotFoundError as error:
    raise _shims.missing_original(_SDK, error) from error
if (_unsupported := _shims.unsupported_original(_SDK)) is not None:
    raise _unsupported
from celery import (
    Signature,
    Task,
    bugreport,
    chain,
    chord,
    chunks,
    current_app,
    current_task,
    group,
    maybe_signature,
    shared_task,
    signature,
    subtask,
    uuid,
    xmap,
    xstarmap,
)

from capa_celery._app import Celery

if TYPE_CHECKING:

    def __getattr__(name: str) -> Any: ...


VERSION = _original.VERSION
__version__ = _original.__version__

__all__ = [
    "Celery",
    "Signature",
    "Task",
    "bugreport",
    "chain",
    "chord",
    "chunks",
    "current_app",
    "current_task",
    "group",
    "maybe_signature",
    "shared_task",
    "signature",
    "subtask",
    "uuid",
    "xmap",
    "xstarmap",
]

_shims.mirror(__name__, _original)
