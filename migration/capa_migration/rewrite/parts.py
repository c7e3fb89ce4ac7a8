"""Parts of a plan, for separate reviews: one for each owner, or each folder at the top."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from capa_codemods.api import git_top_level, read_file
from capa_migration.errors import OptionsError
from capa_migration.rewrite.plan import Plan

By = Literal["owner", "folder"]

NO_OWNER = "no owner"
TOP_FOLDER = "top folder"

_CODEOWNERS = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS")
"""The places that GitHub reads, in its order; the first one counts."""


class Part(NamedTuple):
    """The part of a plan that belongs to *name*: owners as CODEOWNERS has them, or a folder."""

    name: str
    plan: Plan

    @property
    def slug(self) -> str:
        """The name as a part of a file's name."""
        return re.sub(r"[^\w.-]+", "-", self.name).strip("-.")


def parts(plan: Plan, by: By) -> list[Part]:
    """Return *plan* in parts, by name; every changed file is in exactly one.

    Raises:
        OptionsError: There is no CODEOWNERS file, or it cannot be read.
    """
    name_of = _folder if by == "folder" else _owner_by_codeowners(plan.root)
    found: dict[str, Plan] = {}
    for outcome in plan.of("changed"):
        name = name_of(outcome.path)
        held = found[name].outcomes if name in found else ()
        found[name] = plan.with_outcomes([*held, outcome])
    return [Part(name, found[name]) for name in sorted(found)]


def _folder(path: str) -> str:
    return path.partition("/")[0] if "/" in path else TOP_FOLDER


def _owner_by_codeowners(root: str) -> Callable[[str], str]:
    try:
        from codeowners import CodeOwners
    except ImportError as error:
        from capa_core.installing import extra_command

        raise OptionsError(f"--split-by owner needs a library: {extra_command('migrate')}") from error

    top = git_top_level(root) or root
    owners = CodeOwners(_codeowners(top))
    prefix = root[len(top) :].strip("/")

    def owner(path: str) -> str:
        named = owners.of(f"{prefix}/{path}" if prefix else path)
        return " ".join(name for _, name in named) or NO_OWNER

    return owner


def _codeowners(top: str) -> str:
    for name in _CODEOWNERS:
        try:
            data = read_file(f"{top}/{name}", follow_link=True)
            if data is not None:
                # The library would read a name in a comment as an owner.
                return re.sub(r"\s#.*", "", data.decode())
        except (OSError, ValueError) as error:
            raise OptionsError(f"{top}/{name}: cannot be read: {error}: fix it and run again") from error
    raise OptionsError(
        f"{top}: there is none of {', '.join(_CODEOWNERS)}: write one of them, or use --split-by folder"
    )
