"""`celery amqp repl`, whose libraries are imported when it is called.

Every command of Celery imports `click_repl` for it, with all of prompt_toolkit: a fifth of a worker's start.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

NAME = "click_repl"


def defer() -> None:
    """Let the next import of `click_repl`, that of Celery's commands, be one of a stand-in."""
    if NAME not in sys.modules:
        stand_in = ModuleType(NAME)
        stand_in.register_repl = _register  # type: ignore[attr-defined]
        sys.modules[NAME] = stand_in


def _register(group: Any, name: str = "repl") -> None:
    """Register a command as `click_repl.register_repl` does, and make way for the real module."""
    import click

    del sys.modules[NAME]

    @group.command(name=name, help=REPL_HELP)  # type: ignore[untyped-decorator] # celery's group is not typed
    @click.pass_context
    def repl(context: click.Context) -> None:
        from click_repl import repl as original

        original(context)


REPL_HELP = "Start an interactive shell. All subcommands are available in it."
