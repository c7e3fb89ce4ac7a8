"""Questions about each file, as `git add -p` asks about each hunk: the diff, a question, one letter and Enter."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from capa_codemods.api import CAPA_TOML, Outcome
from capa_migration.cli.paint import painted_diff
from capa_migration.cli.terminal import has_colour
from capa_migration.errors import OptionsError
from capa_migration.rewrite.plan import Plan
from capa_migration.rewrite.report import diff

_HELP = """\
y - change this file
n - leave this file as it is
a - change this file and all that follow
q - quit: change the files answered with y, leave this one and the rest
d - show the diff again
? - show this help
Control-C leaves every file as it is.
"""


def require_terminal() -> None:
    """Check that a user can answer.

    Raises:
        OptionsError: Standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise OptionsError(
            "-i asks about each file, and standard input is not a terminal: "
            "run it in a terminal, or review `capa migrate diff` and choose with --only, --skip and --exclude"
        )


def choose(plan: Plan) -> Plan:
    """Return *plan* without the changes that the user declines."""
    changed = plan.of("changed")
    wanted = {outcome.path for outcome in _wanted(plan, changed)}
    if any(outcome.path == CAPA_TOML for outcome in changed) and CAPA_TOML not in wanted:
        for outcome in changed:
            if outcome.path in wanted and outcome.counts_on_settings:
                wanted.remove(outcome.path)
                sys.stderr.write(f"{outcome.path}: left as it is too: it depends on {CAPA_TOML}\n")
    kept = [outcome for outcome in plan.outcomes if outcome.status != "changed" or outcome.path in wanted]
    return plan.with_outcomes(kept)


def _wanted(plan: Plan, changed: Sequence[Outcome]) -> list[Outcome]:
    wanted: list[Outcome] = []
    for number, outcome in enumerate(changed):
        _show(plan, outcome)
        answer = _answer(plan, outcome, f"({number + 1}/{len(changed)}) change {outcome.path}")
        if answer == "a":
            return [*wanted, *changed[number:]]
        if answer == "q":
            break
        if answer == "y":
            wanted.append(outcome)
    return wanted


def _answer(plan: Plan, outcome: Outcome, question: str) -> str:
    while True:
        try:
            sys.stderr.write(f"{question} [y,n,a,q,d,?]? ")
            sys.stderr.flush()
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            sys.stderr.write("\n")
            raise
        answer = line.strip().lower()[:1] if line else "q"  # the end of the input declines the rest
        if not line:
            sys.stderr.write("\n")
        if answer in {"y", "n", "a", "q"}:
            return answer
        if answer == "d":
            _show(plan, outcome)
        else:
            sys.stderr.write(_HELP)


def _show(plan: Plan, outcome: Outcome) -> None:
    for piece in diff(Plan(plan.root, 0, [outcome])):
        text = painted_diff(piece) if has_colour(sys.stderr) else piece
        sys.stderr.write(text.decode(errors="replace"))
