"""Import maps: the one table of old and new names that an adapter brings, as values."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Support = Literal["full", "partial", "none"]
Evidence = Literal["import", "manifest"]
PatchTarget = Literal["shim", "original"]


def reason_id(see: str) -> str:
    """Return the ID for `capa explain` of the section that *see* links to: `docs/differences/<sdk>.md#<section>`."""
    return see.removeprefix("docs/differences/").replace(".md#", "/")


class NameLine(NamedTuple):
    """One line of `[[names]]`: a name that is not served in full, that moves, or that tests patch elsewhere.

    Attributes:
        name: The old dotted name; of a class's attribute too (`celery.Celery.control`).
        argument: The line is about this keyword argument of *name* only.
        to: The new dotted name, if it is not simply the same name in the new module.
        changes: Whether a call or use that is served in part goes on with another outcome, and raises nothing.
        patch: Where a test's `patch("…")` of this name must land; see docs/explanation/patch-targets.md.
        instead: What to use in its place, as it follows "use".
    """

    name: str
    support: Support = "full"
    reason: str = ""
    see: str = ""
    argument: str | None = None
    to: str | None = None
    patch: PatchTarget = "shim"
    instead: str = ""
    changes: bool = False

    @property
    def is_told(self) -> bool:
        """Whether the rewrite warns at each call and use: it raises, or goes on with another outcome."""
        return self.support == "none" or self.changes


class CommandLine(NamedTuple):
    """One line of `[[commands]]`: a command of the SDK that the migrated application does not serve in full.

    Attributes:
        name: The program and its sub-command.
        options: The line is about the command with one of these options only; empty for any.
        values: And with one of these values of it; empty for any.
        without: The line is about the command without any of these options only.
        instead: What to use in its place, as it follows "use".
    """

    name: str
    support: Support
    reason: str
    see: str = ""
    options: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    instead: str = ""


class BlockLine(NamedTuple):
    """One line of `[[blocks]]`: a block that serves the adapter.

    Attributes:
        name: The logical name, unless an address in the code leads to another.
        keeps: The data of the SDK that it keeps, for messages.
        shared: Whether all machines of an application must have the same data.
    """

    block: str
    name: str
    keeps: str
    shared: bool = False


class ImportMap(NamedTuple):
    """One SDK: its roots, the new places of its modules, and the names that are not served in full.

    Attributes:
        brings: Distribution → the roots that it installs.
        reason: Of a map without modules: why nothing of the SDK is served.
        unserved: Old modules that the adapter does not have, nor anything below them.
        sides: The sides that can serve its calls.
        bring: The next step, as a sentence, for what the rewrite of code leaves behind; empty if it leaves nothing.
        returns: Old callable → old class of the object that it returns, by which a scan follows objects.
        settings: Setting in a settings module, as Django's (`CELERY_TASK_SEND_SENT_EVENT`) → the line about it.
        dependencies: The roots of libraries below the original whose versions the adapter bounds.
        needs: Ability of a block (`pubsub.delay`) → the names that need it, each with all below it, or with one
            keyword argument (`celery(countdown)`).
    """

    path: str
    name: str
    package: str
    extra: str
    roots: tuple[str, ...]
    brings: Mapping[str, tuple[str, ...]]
    versions: str
    evidence: Evidence
    modules: Mapping[str, str]
    names: tuple[NameLine, ...]
    returns: Mapping[str, str]
    needs: Mapping[str, tuple[str, ...]]
    reason: str = ""
    commands: tuple[CommandLine, ...] = ()
    unserved: tuple[str, ...] = ()
    settings: Mapping[str, NameLine] = MappingProxyType({})
    sides: tuple[str, ...] = ("capa",)
    bring: str = ""
    blocks: tuple[BlockLine, ...] = ()
    dependencies: tuple[str, ...] = ()

    @property
    def distributions(self) -> tuple[str, ...]:
        """The names under which the SDK is installed."""
        return tuple(self.brings)

    def bringing(self, root: str) -> list[str]:
        """Return the distributions that install *root*."""
        return [name for name, roots in self.brings.items() if root in roots]
