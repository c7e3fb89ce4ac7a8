"""Uncommitted changes of a work tree, and commits of a rewrite, without running programs of the repository.

A file's filter is such a program: where the repository's own settings name one, it is switched off, and a file that
would have to go through it is not committed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from capa_codemods.errors import CodemodError
from capa_codemods.read.git import ask_git, git_top_level, run_git
from capa_codemods.write.journal_folder import MIGRATE_FOLDER


class UncommittedChanges(NamedTuple):
    """The changes of a work tree that are not committed; a folder ends in `/`, and the tree as a whole is empty."""

    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()

    def beside(self, paths: Sequence[str]) -> list[str]:
        """Return the changes that a diff would mix with a rewrite of *paths*: tracked ones, and new files in it."""
        folders = tuple(path for path in self.untracked if not path or path.endswith("/"))
        new = [path for path in self.untracked if path in paths]
        new += [folder for folder in folders if any(path.startswith(folder) for path in paths)]
        return [*self.changed, *new] if paths else []


def uncommitted_changes(root: str, scopes: Sequence[str] = ()) -> UncommittedChanges:
    """Return the uncommitted changes in *scopes* below *root*, or in all of it; none outside a work tree.

    Raises:
        CodemodError: *root* is in a work tree and git fails.
    """
    if git_top_level(root) is None:
        return UncommittedChanges()
    # A submodule is a repository of its own, with programs of its own.
    arguments = (
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        "--",
        *(scopes or (".",)),
    )
    out = ask_git(root, "--literal-pathspecs", *_without_filters(root), *arguments)
    if out is None:
        raise CodemodError(
            f"git does not report whether {root} has uncommitted changes: "
            f"run `git status` there to see why, or pass --allow-dirty"
        )
    top = os.path.relpath(root, git_top_level(root))
    prefix = "" if top == "." else f"{top}/"
    entries = [entry for entry in os.fsdecode(out).split("\0") if entry]
    entries = [entry for entry in entries if not f"/{entry[3:]}".endswith(("/.capa/", f"/{MIGRATE_FOLDER}/"))]
    changed = [entry[3:].removeprefix(prefix) for entry in entries if not entry.startswith("??")]
    untracked = [entry[3:].removeprefix(prefix) for entry in entries if entry.startswith("??")]
    return UncommittedChanges(tuple(changed), tuple(untracked))


def refusal_to_commit(root: str, paths: Sequence[str]) -> str | None:
    """Return why *paths* below *root* cannot be committed without running code of the repository; else None."""
    if (
        ask_git(root, "var", "GIT_COMMITTER_IDENT") is None
        or ask_git(root, "var", "GIT_AUTHOR_IDENT") is None
    ):
        return "git knows no author: `git config user.name` and `git config user.email` name one"
    filters = {key.split(".")[1] for key in _filter_keys(root)}
    out = ask_git(root, "check-attr", "-z", "--stdin", "filter", given=_listed(paths)) if filters else b""
    fields = os.fsdecode(out or b"").split("\0")
    for path, name in zip(fields[::3], fields[2::3], strict=False):
        if name in filters:
            return (
                f"{path} goes through the filter `{name}` of this repository, a program that is not run here: "
                f"leave it out with --exclude, or leave out --commit and commit by hand"
            )
    return None


def commit_files(root: str, paths: Sequence[str], message: str) -> str:
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
    options = ("--no-verify", "--no-gpg-sign", "--cleanup=whitespace", "--message", message)
    try:
        _must(root, *quiet, "commit", "--quiet", "--only", *options, *listed, given=_listed(paths))
    except CodemodError:
        ask_git(root, *quiet, "reset", "--quiet", *listed, given=_listed(paths))
        raise
    return os.fsdecode(_must(root, "rev-parse", "--short", "HEAD")).strip()


def _listed(paths: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(path) + b"\0" for path in paths)


def _without_filters(root: str) -> list[str]:
    return [part for key in _filter_keys(root) for part in ("-c", f"{key}=")]


def _filter_keys(root: str) -> list[str]:
    """Return the settings by which the repository itself names programs to run on its files."""
    pattern = r"^filter\..*\.(clean|process)$"
    # With all that is included, and with the place of each: `--local` would hide the settings of included files.
    found = ask_git(root, "config", "--show-scope", "--name-only", "-z", "--get-regexp", pattern)
    words = os.fsdecode(found or b"").split("\0")
    scopes = zip(words[::2], words[1::2], strict=False)
    return [key for scope, key in scopes if scope in {"local", "worktree"}]


def _must(root: str, *arguments: str, given: bytes = b"") -> bytes:
    done = run_git(root, arguments, given)
    if done is None or done.returncode:
        reason = os.fsdecode(done.stderr).strip() if done else "it is not installed"
        raise CodemodError(f"git could not commit in {root}: {reason}")
    return done.stdout
