"""In place of `apollo_pydantic.logger`."""

from __future__ import annotations

import logging

__all__ = ["debug_logger", "enable_debug", "logger"]

debug_logger = logging.getLogger("apollo_pydantic.debug")
logger = logging.getLogger("apollo_pydantic.general")


def enable_debug() -> None:
    """Let the process log from DEBUG on."""
    logging.basicConfig(level=logging.DEBUG)
