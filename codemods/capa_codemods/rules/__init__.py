"""The rules: one file each. A new file here is a new rule; nothing else names it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint
from importlib.resources import files
from typing import Any, NamedTuple

from capa_codemods.discovery import COMMANDS, package_of, rule_entries
from capa_codemods.errors import RuleError
from capa_codemods.read.document import Document
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import OURS, Rule


class RuleOffer(NamedTuple):
    """A rule that can be had; one of another package is not imported before `load`."""

    id: str
    package: str
    entry: EntryPoint | None
    ours: type[Rule[Any]] | None = None

    @property
    def is_command(self) -> bool:
        """Whether it is a command of LibCST, which runs only when it is named."""
        return self.entry is not None and self.entry.group == COMMANDS

    def load(self) -> Rule[Any]:
        """Return the rule.

        Raises:
            RuleError: It cannot be imported or made, or is not a rule.
        """
        if self.entry is None:
            assert self.ours is not None  # noqa: S101 - one of the two is there
            return self.ours()
        if self.is_command:
            from capa_codemods.libcst_commands.rule import CommandRule

            return CommandRule(self.id, self.package, self.entry.value)
        return _loaded(self, self.entry)


@cache
def rule_offers() -> tuple[RuleOffer, ...]:
    """Return all rules that can be had, by id.

    Raises:
        RuleError: Two rules have one id.
    """
    found = [RuleOffer(cls.id, OURS, None, cls) for cls in _own()]
    found += [RuleOffer(entry.name, package_of(entry), entry) for entry in rule_entries()]
    known: dict[str, RuleOffer] = {}
    for offer in found:
        if (other := known.setdefault(offer.id, offer)) is not offer:
            raise RuleError(
                f"two rules are called `{offer.id}`, of {other.package} and of {offer.package}: rename the entry point "
                f"of one of them, or remove its package"
            )
    return tuple(sorted(found, key=lambda offer: offer.id))


@cache
def all_rules() -> tuple[Rule[Any], ...]:
    """Return one of each rule that runs without being named, by id.

    Raises:
        RuleError: A rule of another package cannot be used.
    """
    rules = (offer.load() for offer in rule_offers() if not offer.is_command)
    return tuple(rule for rule in rules if not rule.changes_shape)


def find_rule(rule: str) -> Rule[Any] | None:
    """Return the rule *rule*; None if there is none, or it cannot be loaded."""
    for offer in rule_offers():
        if offer.id == rule:
            try:
                return offer.load()
            except RuleError:
                return None
    return None


def rule_summary(rule: str) -> str:
    """Return the summary of the rule *rule*, in one line; empty if there is none, or it cannot be loaded."""
    found = find_rule(rule)
    return found.summary if found else ""


def _own() -> list[type[Rule[Any]]]:
    classes: list[type[Rule[Any]]] = []
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py") and file.name != "__init__.py":
            name = f"{__name__}.{file.name.removesuffix('.py')}"
            classes += [value for value in vars(import_module(name)).values() if _is_rule(value, name)]
    return classes


def _is_rule(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module


def _loaded(offer: RuleOffer, entry: EntryPoint) -> Rule[Any]:
    step = f"correct or update it, or leave it out with --skip {offer.id}"
    subject = f"the rule `{offer.id}` of {offer.package}"
    try:
        rule = entry.load()()
    except (Exception, SystemExit) as error:
        raise RuleError(
            f"{subject} cannot be loaded from {entry.value} ({type(error).__name__}: {error}): {step}"
        ) from error
    if wrong := _flaw_of(rule, offer.id):
        raise RuleError(f"{subject}, {entry.value}, {wrong}: {step}")
    rule.package = offer.package
    return rule  # type: ignore[no-any-return]  # `_flaw_of` has looked


def _flaw_of(rule: object, wanted: str) -> str | None:
    if not isinstance(rule, Rule):
        return "is not a subclass of capa_codemods.api.Rule"
    for name in ("id", "summary", "reads"):
        if not hasattr(rule, name):
            return f"has no `{name}`"
    if rule.id != wanted:
        return f"calls itself `{rule.id}`, which is not the name of its entry point"
    if Document not in getattr(rule.reads, "__mro__", ()):
        return "has no kind of document in `reads`"
    if rule.changes_shape and rule.reads is not PythonFile:
        return "changes the shape of files that are not Python"
    return None
