"""`celery`, served by Capa.

    from capa_celery import Celery, shared_task

Classes, decorators, canvas, results, signals and the command line are the installed original's; an application made
here publishes, runs its tasks and keeps its results by the components that capa.toml names.
"""

from __future__ import annotations

from typing import Any

try:
    import celery as _original
except ModuleNotFoundError as error:
    from capa_core.errors import MissingExtraError

    raise MissingExtraError(
        f"capa_celery needs the library {error.name!r}. Run: pip install 'capa-core[celery]'"
    ) from error
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


def __getattr__(name: str) -> Any:
    """Return what `import celery` would give: names that this module does not define are the original's."""
    try:
        return getattr(_original, name)
    except AttributeError:
        raise AttributeError(f"module 'capa_celery' has no attribute {name!r}") from None
