"""Start of a trial: Python processes of a command, and their children, redirect the imports of the project."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence

from capa_codemods.api import import_map_paths
from capa_migration.errors import OptionsError
from capa_migration.live.trial import environment

_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?$")
_ISOLATED = re.compile(r"-[a-zA-Z]*[IES][a-zA-Z]*$")


def launch(root: str, command: Sequence[str], sdks: Sequence[str] = ()) -> None:
    """Replace this process by *command*; on success the call does not return.

    Args:
        root: Absolute path of the project; the files below it are redirected.
        command: A program and its arguments. `python` means the interpreter that runs this.
        sdks: Frequent names of modules that are an SDK here.

    Raises:
        OptionsError: The program does not exist, or would ignore the redirection of imports.
    """
    variables = {**child_environment(root, os.environ), environment.SDKS: ",".join(sdks)}
    program = _program(command[0], variables["PATH"])
    if _PYTHON.match(os.path.basename(program)):
        _refuse_isolated(command)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(program, [program, *command[1:]], variables)  # noqa: S606 - the user's own command, word for word


def child_environment(root: str, variables: dict[str, str] | os._Environ[str]) -> dict[str, str]:
    """Return *variables*, extended so that Python processes redirect the imports of the project at *root*."""
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
    above = variables.get("PYTHONPATH")
    return {
        **variables,
        environment.ROOT: root,
        environment.MAPS: os.pathsep.join(import_map_paths()),
        "PYTHONPATH": os.pathsep.join([here, above] if above else [here]),
        # `python` and `celery` are those of this interpreter's folder, as in an activated environment.
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), variables.get("PATH", os.defpath)]),
    }


def _program(word: str, path: str) -> str:
    if _PYTHON.match(word):
        return sys.executable
    found = shutil.which(word, path=path)
    if found is None:
        raise OptionsError(f"there is no program `{word}`: give the command that starts your application")
    return found


def _refuse_isolated(command: Sequence[str]) -> None:
    for word in command[1:]:
        if not word.startswith("-") or word in {"-m", "-c", "-"}:
            return
        if _ISOLATED.match(word):
            raise OptionsError(
                f"`{word}` makes Python ignore the redirection of imports: leave it out for the trial"
            )
