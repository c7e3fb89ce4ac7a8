"""Run one rule on one document; a failure of the rule becomes a finding about the rule, and nothing else."""

from __future__ import annotations

from typing import Any, get_args

from capa_codemods.errors import RuleFailedError
from capa_codemods.file_rewrite import RuleResult
from capa_codemods.findings import Edit, Finding, Level, Setting
from capa_codemods.project import Project
from capa_codemods.read.document import Document
from capa_codemods.rule import OURS, Rule

_FIELDS: dict[type, tuple[type, ...]] = {
    Edit: (int, int, bytes, str),
    Finding: (str, int, str, str, str, bool),
    Setting: (str, int, tuple, tuple),
}


def run_rule(rule: Rule[Any], file: Document, project: Project) -> RuleResult:
    """Return the items that *rule* yields for *file*; if it fails, a finding about that in place of all of them."""
    try:
        items = list(rule.check(file, project))
    except RuleFailedError as error:
        return RuleResult(rule, findings=(rule_fault(rule, f"failed: {error}"),))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a rule of another package: its error is reported
        return RuleResult(rule, findings=(rule_fault(rule, f"raised {_described(error)}"),))
    for item in items:
        if wrong := _wrong_item(item, file):
            return RuleResult(rule, findings=(rule_fault(rule, wrong),))
    kept = [item for item in items if not file.ignores(file.line_of_item(item), rule.id)]
    return RuleResult(
        rule,
        tuple(item._replace(rule=rule.id) for item in kept if isinstance(item, Edit)),
        tuple(item._replace(rule=rule.id) for item in kept if isinstance(item, Finding)),
        tuple(item._replace(rule=rule.id) for item in kept if isinstance(item, Setting)),
    )


def refused(result: RuleResult, why: str, line: int = 1) -> RuleResult:
    """Return *result* with a finding in place of its edits; as it is, if it has none."""
    if not result.edits:
        return result
    return RuleResult(result.rule, findings=(*result.findings, rule_fault(result.rule, why, line)))


def rule_fault(rule: Rule[Any], fault: str, line: int = 1) -> Finding:
    """Return the finding that *rule* has the *fault* for a file; the other rules are not affected."""
    owner = "Capa" if rule.package == OURS else rule.package
    return Finding(
        rule.id,
        line,
        "error",
        f"the rule `{rule.id}` of {rule.package} {fault}; nothing of it was used here",
        f"report it to the makers of {owner}; --skip {rule.id} leaves the rule out",
    )


def _wrong_item(item: object, file: Document) -> str | None:
    fields = _FIELDS.get(type(item))
    if fields is None:
        return f"yielded {item!r:.80}, which is not an edit, finding or setting"
    if not all(map(isinstance, tuple(item), fields)):  # type: ignore[arg-type]  # the three are tuples
        return f"yielded wrong types: {item!r:.80}"
    if isinstance(item, Edit) and not 0 <= item.start <= item.end <= len(file.data):
        return f"yielded an edit outside the file, from {item.start} to {item.end}"
    if isinstance(item, Finding) and item.level not in get_args(Level):
        return f"yielded a finding of the level {item.level!r}"
    return None


def _described(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
