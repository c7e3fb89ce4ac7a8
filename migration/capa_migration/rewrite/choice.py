"""Rules of a run: chosen by its options, with their settings checked."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from capa_codemods.api import did_you_mean
from capa_migration.errors import OptionsError
from capa_migration.rewrite.target import Options

if TYPE_CHECKING:
    from capa_codemods.api import Rule, RuleOffer


def select(offered: Iterable[RuleOffer], options: Options) -> list[Rule[Any]]:
    """Return the rules among *offered* that *options* ask for; unwanted rules of other packages are not imported.

    A rule that changes shapes runs only if `only` or `asked` names it.

    Raises:
        OptionsError: A rule that is named does not exist, its settings are wrong, or no rule is left.
        RuleError: A rule of another package cannot be used.
    """
    known = {offer.id: offer for offer in offered}
    for name in (*options.only, *options.skip, *options.asked, *options.settings):
        if name not in known:
            place = options.place_of(name)
            listed = f"`capa migrate check --list-rules` shows {', '.join(known)}"
            raise OptionsError(f"{place}there is no rule `{name}`: {did_you_mean(name, known, listed)}")
    named = {*options.only, *options.asked}
    rules = []
    for offer in known.values():
        must_be_named = bool(options.only) or offer.is_command
        if offer.id in options.skip or (must_be_named and offer.id not in named):
            continue
        rule = offer.load()
        if not rule.changes_shape or rule.id in named:
            _check_settings(rule, options)
            rules.append(rule)
    if not rules:
        raise OptionsError(
            "no rule is left to run: leave out one of `only` and `skip`, here or in pyproject.toml"
        )
    return rules


def _check_settings(rule: Rule[Any], options: Options) -> None:
    known = {**(rule.settings or {}), **rule.limits}
    for key, value in options.settings.get(rule.id, {}).items():
        if key not in known and rule.settings is None:
            continue  # it takes any
        place = f"{options.place_of(rule.id, key)}[tool.capa.migrate.{rule.id}]"
        if key not in known:
            listed = f"the rule has {', '.join(known) or 'no keys'}"
            raise OptionsError(f"{place} has an unknown key `{key}`: {did_you_mean(key, known, listed)}")
        default = known[key]
        wanted = (int, float) if isinstance(default, float) else type(default)
        if not isinstance(value, wanted) or isinstance(value, bool) is not isinstance(default, bool):
            raise OptionsError(f"{place} {key} must be like {default!r}, its default, not {value!r}")
        if isinstance(default, (int, float)) and default >= 0 and not 0 <= value < math.inf:
            raise OptionsError(
                f"{place} {key} must be a number from 0 on, like {default!r}, its default, not {value!r}"
            )
