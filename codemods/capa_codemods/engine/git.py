"""Ask git, without running anything that the repository brings along.

Hooks, the file-system monitor and the filters of the repository's own configuration are programs that a stranger may
have written: all are switched off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from capa_codemods.errors import CodemodError

_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat")


def top_level(path: str) -> str | None:
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
    if top_level(root) is None:
        return None
    listed = _git(root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if not listed:
        return None
    return list(dict.fromkeys(os.fsdecode(listed).rstrip("\0").split("\0")))


def tracks(root: str, path: str) -> bool:
    """Say whether git holds anything at *path*, which is in the tree at *root*."""
    return top_level(root) is not None and bool(_git(root, "ls-files", "-z", "--", path))


def is_ignored(root: str, path: str) -> bool:
    """Say whether git leaves *path*, which is in the tree at *root*, out of that tree."""
    return top_level(root) is not None and _git(root, "check-ignore", "-q", "--", path) is not None


class Dirt(NamedTuple):
    """What in a work tree is not committed; a folder ends in `/`."""

    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()


def dirt(root: str, scopes: Sequence[str] = ()) -> Dirt:
    """Return what is not committed of *scopes* below *root*, or of all of it; nothing outside a work tree.

    Raises:
        CodemodError: *root* is in a work tree and git cannot say.
    """
    if top_level(root) is None:
        return Dirt()
    asked = ("status", "--porcelain", "-z", "--no-renames", "--", *(scopes or (".",)))
    out = _git(root, "--literal-pathspecs", *_without_filters(root), *asked)
    if out is None:
        raise CodemodError(
            f"git cannot say whether {root} has uncommitted changes: "
            f"run `git status` there to see why, or pass --allow-dirty"
        )
    top = os.path.relpath(root, top_level(root))
    prefix = "" if top == "." else f"{top}/"
    entries = [entry for entry in os.fsdecode(out).split("\0") if entry]
    entries = [entry for entry in entries if not f"/{entry[3:]}".endswith("/.capa/")]
    changed = [entry[3:].removeprefix(prefix) for entry in entries if not entry.startswith("??")]
    untracked = [entry[3:].removeprefix(prefix) for entry in entries if entry.startswith("??")]
    return Dirt(tuple(changed), tuple(untracked))


def _without_filters(root: str) -> list[str]:
    names = _git(
        root, "config", "--local", "--name-only", "-z", "--get-regexp", r"^filter\..*\.(clean|process)$"
    )
    keys = os.fsdecode(names or b"").split("\0")
    return [part for key in keys if key for part in ("-c", f"{key}=")]


def _git(root: str, *arguments: str) -> bytes | None:
    """Return what git prints, or None if it fails or is not there."""
    import subprocess

    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words; the only other part is a folder, given by -C
            ["git", "-C", root, *_QUIET, *arguments],  # noqa: S607 - the user's own git
            capture_output=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
