"""The component that `--component` names."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from capa_migration.cli import FAILED, USAGE
from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_core import Runtime


def check_named(runtime: Runtime, block: str, name: str) -> None:
    """Check that a table serves *name*, where *block* has tables.

    Raises:
        OptionsError: None does; the message names the options that lead to one.
    """
    tables = runtime.loaded.tables(block)
    if tables and not tables.keys() & {name, "default"}:
        options = " or ".join(f"--component {each}" for each in tables)
        raise OptionsError(f"{runtime.loaded.where()} has no [{block}.{name}]: give {options}")


def carry_out(
    command: str,
    block: str,
    action: Callable[[Any, argparse.Namespace], int],
    arguments: argparse.Namespace,
    *,
    changing: bool,
) -> int:
    """Run an action of `capa COMMAND` on the component that the arguments name, and return the exit code.

    Raises:
        OptionsError: No component has the name; or another one serves it, and the action changes something.
    """
    from capa_core import CapaError, Runtime
    from capa_core.errors import InvalidArgumentError, SettingsError

    try:
        with Runtime(profile=arguments.profile, reports=False) as runtime:
            check_named(runtime, block, arguments.component)
            component = runtime.component(block, arguments.component)
            _check_serves(component, command, block, arguments, changing=changing)
            return action(component, arguments)
    except CapaError as error:
        print(f"capa {command} {arguments.action}: {error}", file=sys.stderr)
        return USAGE if isinstance(error, SettingsError | InvalidArgumentError) else FAILED


def _check_serves(
    component: Any, command: str, block: str, arguments: argparse.Namespace, *, changing: bool
) -> None:
    """Name the component that serves the given name, if it is another one.

    Raises:
        OptionsError: The action changes something: a mistyped name must not reach what another component has.
    """
    if component.name == arguments.component:
        return
    note = f"there is no [{block}.{arguments.component}]: component {component.name} serves that name"
    if changing:
        raise OptionsError(f"{note}; nothing was changed. To change it, give --component {component.name}")
    print(f"capa {command} {arguments.action}: {note}", file=sys.stderr)
