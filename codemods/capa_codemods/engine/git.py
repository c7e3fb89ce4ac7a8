"""Ask git, without running anything that the repository brings along.

Hooks, the file-system monitor and the filters of the repository's own configuration are programs that a stranger may
have written: all are switched off.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from capa_codemods.errors import CodemodError

if TYPE_CHECKING:
    from subprocess import CompletedProcess

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
    """What in a work tree is not committed; a folder ends in `/`, and the tree as a whole is empty."""

    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    def beside(self, paths: Sequence[str]) -> list[str]:
        """Return what would be hard to tell from a rewrite of *paths*: each change, and those of them not tracked."""
        folders = tuple(path for path in self.untracked if not path or path.endswith("/"))
        new = [path for path in self.untracked if path in paths]
        new += [folder for folder in folders if any(path.startswith(folder) for path in paths)]
        return [*self.changed, *new] if paths else []


def dirt(root: str, scopes: Sequence[str] = ()) -> Dirt:
    """Return what is not committed of *scopes* below *root*, or of all of it; nothing outside a work tree.

    Raises:
        CodemodError: *root* is in a work tree and git cannot say.
    """
    if top_level(root) is None:
        return Dirt()
    # A submodule is a repository of its own, with programs of its own.
    asked = (
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        "--",
        *(scopes or (".",)),
    )
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


def refusal_to_commit(root: str, paths: Sequence[str]) -> str | None:
    """Return why *paths* below *root* cannot be committed without running what the repository brings; else None."""
    if _git(root, "var", "GIT_COMMITTER_IDENT") is None or _git(root, "var", "GIT_AUTHOR_IDENT") is None:
        return "git knows no author: `git config user.name` and `git config user.email` name one"
    filters = {key.split(".")[1] for key in _filter_keys(root)}
    out = _git(root, "check-attr", "-z", "--stdin", "filter", given=_listed(paths)) if filters else b""
    fields = os.fsdecode(out or b"").split("\0")
    for path, name in zip(fields[::3], fields[2::3], strict=False):
        if name in filters:
            return (
                f"{path} goes through the filter `{name}` of this repository, a program that is not run here: "
                f"leave it out with --exclude, or leave out --commit and commit by hand"
            )
    return None


def commit(root: str, paths: Sequence[str], message: str) -> str:
    """Commit *paths* below *root* as they are, nothing else, and return the abbreviated id of the commit.

    No hook runs, and nothing is signed.

    Raises:
        CodemodError: git refuses. Nothing was committed.
    """
    quiet = (
        "--literal-pathspecs",
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=false",
        *_without_filters(root),
    )
    listed = ("--pathspec-from-file=-", "--pathspec-file-nul")
    _must(root, *quiet, "add", *listed, given=_listed(paths))
    said = ("--no-verify", "--no-gpg-sign", "--cleanup=whitespace", "--message", message)
    try:
        _must(root, *quiet, "commit", "--quiet", "--only", *said, *listed, given=_listed(paths))
    except CodemodError:
        _git(root, *quiet, "reset", "--quiet", *listed, given=_listed(paths))
        raise
    return os.fsdecode(_must(root, "rev-parse", "--short", "HEAD")).strip()


def _listed(paths: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _without_filters(root: str) -> list[str]:
    return [part for key in _filter_keys(root) for part in ("-c", f"{key}=")]


def _filter_keys(root: str) -> list[str]:
    """Return the settings by which the repository itself names programs to run on its files."""
    pattern = r"^filter\..*\.(clean|process)$"
    # With all that is included, and with the place of each: `--local` would hide what a file that it includes sets.
    told = _git(root, "config", "--show-scope", "--name-only", "-z", "--get-regexp", pattern)
    words = os.fsdecode(told or b"").split("\0")
    scopes = zip(words[::2], words[1::2], strict=False)
    return [key for scope, key in scopes if scope in {"local", "worktree"}]


def _must(root: str, *arguments: str, given: bytes = b"") -> bytes:
    done = _run(root, arguments, given)
    if done is None or done.returncode:
        said = os.fsdecode(done.stderr).strip() if done else "it is not installed"
        raise CodemodError(f"git could not commit in {root}: {said}")
    return done.stdout


def _git(root: str, *arguments: str, given: bytes = b"") -> bytes | None:
    """Return what git prints, or None if it fails or is not there."""
    done = _run(root, arguments, given)
    return done.stdout if done is not None and done.returncode == 0 else None


def _run(root: str, arguments: Sequence[str], given: bytes) -> CompletedProcess[bytes] | None:
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
