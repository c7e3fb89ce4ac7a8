"""Loggers that an application's logging configuration does not silence by the way."""

from __future__ import annotations

import logging


class _Enabled:
    """Keeps a logger enabled; levels, filters and handlers are the application's as ever."""

    @property
    def disabled(self) -> bool:
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        """Leave it: `disable_existing_loggers`, Python's default, disables all that a configuration does not name."""


def named_logger(name: str) -> logging.Logger:
    """Return the logger *name*, which `dictConfig` and `fileConfig` do not disable for not being named there.

    Libraries make their loggers as they are imported, which is before an application configures logging, and a worker
    whose warnings are lost stops in silence.
    """
    found = logging.getLogger(name)
    if not isinstance(found, _Enabled):
        kind = type(found)
        found.__class__ = type(kind.__name__, (_Enabled, kind), {})
    return found
