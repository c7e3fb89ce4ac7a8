"""The program of a server: its path and version on this machine, and how to install it."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property

import pytest


def in_ci() -> bool:
    """Return whether this is a CI run, where a missing server is a failure and not a skip."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false", "no"}


@dataclass(frozen=True)
class Program:
    """The program of a server, looked up when first asked for.

    Args:
        name: Its name in tests: the argument of `@pytest.mark.server(…)`.
        command: The program's file name, looked up on the path.
        install: The command that installs it.
        version_arguments: Arguments with which the program prints its version.
        version_command: A command that prints it, for a program that does not.
        usual: Whether `make test` needs it; the others, which are servers of engines, are for `make test-engines`.
    """

    name: str
    command: str
    install: str
    version_arguments: tuple[str, ...] = ("--version",)
    version_command: tuple[str, ...] = ()
    usual: bool = False

    @cached_property
    def path(self) -> str | None:
        """The program's full path, or `None` when it is not installed."""
        return shutil.which(self.command)

    @cached_property
    def version(self) -> str | None:
        """The first version number that the program prints, or `None` when it is not installed."""
        if self.path is None:
            return None
        command = self.version_command or (self.path, *self.version_arguments)
        ran = subprocess.run(command, capture_output=True, text=True, timeout=20)
        found = re.search(r"\d+\.\d+(\.\d+)*", ran.stdout + ran.stderr)
        return found.group() if found else "of unknown version"

    def require(self) -> str:
        """Return the path; without the program, skip the present test at a desk and fail it in CI."""
        if self.path:
            return self.path
        reason = f"{self.name} is not installed here: {self.install}"
        if in_ci():
            pytest.fail(f"{reason} (in CI every server must be there)", pytrace=False)
        pytest.skip(reason)


@dataclass(frozen=True)
class OwnServer:
    """A server that the tests bring themselves, for an engine whose real one cannot be installed here.

    Args:
        name: As of a `Program`.
        version: How near it is to the real one, for the report of a run.
        path: Its module.
    """

    name: str
    version: str
    path: str
    install: str = "it is a part of the tests"
    usual: bool = True

    def require(self) -> str:
        """Return the path; it is always there."""
        return self.path
