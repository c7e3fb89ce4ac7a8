"""Recognise the commands that install distributions by name."""

from __future__ import annotations

from collections.abc import Sequence

# The words of an installer, up to the first requirement.
_INSTALLERS = (
    ("pip", "install"), ("pip3", "install"), ("uv", "pip", "install"), ("uv", "add"), ("poetry", "add"),
    ("pipenv", "install"), ("pdm", "add"), ("rye", "add"), ("pipx", "inject"), ("conda", "install"),
    ("mamba", "install"),
)  # fmt: skip
# Their values are files, folders and addresses.
_WITH_VALUE = frozenset({"-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-t", "--target", "-i",
                         "--index-url", "--extra-index-url", "-f", "--find-links", "--prefix",
                         "-G", "--group", "-n"})  # fmt: skip


def installed(words: Sequence[str]) -> list[str]:
    """Return the requirements that *words*, a simple command, installs by name; none if it installs nothing."""
    name = words[0].rpartition("/")[2] if words else ""
    for installer in _INSTALLERS:
        if (name, *words[1 : len(installer)]) == installer:
            return [
                word
                for at, word in enumerate(words)
                if at >= len(installer) and not word.startswith("-") and words[at - 1] not in _WITH_VALUE
            ]
    return []
