"""Questions to git, without running programs of the repository.

Hooks and the file-system monitor are programs of the repository: they are switched off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from subprocess import CompletedProcess

_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat")


def git_top_level(path: str) -> str | None:
    """Return the folder above or at *path* that holds `.git`, or None."""
    at = path
    while True:
        if os.path.lexists(f"{at}/.git"):
            return at
        at, below = os.path.split(at)
        if not below:
            return None


def listed_files(root: str) -> list[str] | None:
    """Return the files below *root* that git tracks or would track, relative to it.

    None if *root* is in no work tree, if git is not installed or refuses, or if git ignores all of it.
    """
    if git_top_level(root) is None:
        return None
    listed = ask_git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if not listed:
        return None
    return list(dict.fromkeys(os.fsdecode(listed).rstrip("\0").split("\0")))


def tracks(root: str, path: str) -> bool:
    """Return whether git holds anything at *path*, which is in the tree at *root*."""
    return git_top_level(root) is not None and bool(ask_git(root, "ls-files", "-z", "--", path))


def is_git_ignored(root: str, path: str) -> bool:
    """Return whether git leaves *path*, which is in the tree at *root*, out of that tree."""
    return git_top_level(root) is not None and ask_git(root, "check-ignore", "-q", "--", path) is not None


def ask_git(root: str, *arguments: str, given: bytes = b"") -> bytes | None:
    """Return the output of git, or None if it fails or is not there."""
    done = run_git(root, arguments, given)
    return done.stdout if done is not None and done.returncode == 0 else None


def run_git(root: str, arguments: Sequence[str], given: bytes = b"") -> CompletedProcess[bytes] | None:
    """Run git in *root* with *arguments* and *given* as its input; None if it is not there."""
    import subprocess

    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(  # noqa: S603 - fixed words; the others are a folder, given by -C, and a message
            ["git", "-C", root, *_QUIET, *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            check=False,
            env=environment,
            input=given,
        )
    except OSError:
        return None
