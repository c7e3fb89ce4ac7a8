"""Recognise the commands that install distributions by name, and what they install beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# The words of an installer, up to the first requirement.
_INSTALLERS = (
    ("pip", "install"), ("pip3", "install"), ("uv", "pip", "install"), ("uv", "add"), ("poetry", "add"),
    ("pipenv", "install"), ("pdm", "add"), ("rye", "add"), ("pipx", "inject"), ("conda", "install"),
    ("mamba", "install"),
)  # fmt: skip
_FROM_CONDA = frozenset({"conda", "mamba"})
_FILES = ("-r", "--requirement")
_PROJECTS = ("-e", "--editable")
# Their values are files, folders and addresses.
_WITH_VALUE = frozenset({"-c", "--constraint", "-t", "--target", "-i", "--index-url", "--extra-index-url", "-f",
                         "--find-links", "--prefix", "-G", "--group", "-n"})  # fmt: skip


class Installation(NamedTuple):
    """A command that installs distributions.

    Attributes:
        requirements: What it installs by name.
        files: The requirements files that it installs too, as they are written.
        projects: The folders that it installs too, as they are written.
        is_of_conda: Whether it takes them from conda's channels, which have no capa-core.
    """

    requirements: tuple[str, ...]
    files: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    is_of_conda: bool = False


def installation(words: Sequence[str]) -> Installation | None:
    """Return the installation that *words*, a simple command, are; None if they install nothing."""
    name = words[0].rpartition("/")[2] if words else ""
    for installer in _INSTALLERS:
        if (name, *words[1 : len(installer)]) == installer:
            return _read(words[len(installer) :], is_of_conda=name in _FROM_CONDA)
    return None


def _read(words: Sequence[str], *, is_of_conda: bool) -> Installation:
    requirements, files, projects = [], [], []
    before = ""
    for word in words:
        _, equals, value = word.partition("=")
        if before in _FILES:
            files.append(word)
        elif before in _PROJECTS or word.startswith((".", "/")):
            projects.append(word.partition("[")[0])
        elif word.startswith(_FILES) and (equals or not word.startswith("--")) and word not in _FILES:
            files.append(value if equals else word.removeprefix("-r"))
        elif not word.startswith("-") and before not in _WITH_VALUE:
            requirements.append(word)
        before = word
    return Installation(tuple(requirements), tuple(files), tuple(projects), is_of_conda)
