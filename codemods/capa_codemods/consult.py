"""Ask one rule about one document, and let what it does wrong be a finding about the rule and nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

from capa_codemods.engine.document import Document
from capa_codemods.errors import RuleFailedError
from capa_codemods.findings import Edit, Finding, Level, Setting
from capa_codemods.project import Project
from capa_codemods.rule import OURS, Rule

_FIELDS: dict[type, tuple[type, ...]] = {
    Edit: (int, int, bytes, str),
    Finding: (str, int, str, str, str),
    Setting: (str, int, tuple, tuple),
}


class Said(NamedTuple):
    """What one rule said of one document, without what a comment in the document tells Capa to ignore."""

    rule: Rule[Any]
    edits: tuple[Edit, ...] = ()
    findings: tuple[Finding, ...] = ()
    settings: tuple[Setting, ...] = ()


def consult(rule: Rule[Any], file: Document, project: Project) -> Said:
    """Return what *rule* says of *file*; if it fails, a finding that says so, and nothing of what it said before."""
    try:
        items = list(rule.check(file, project))
    except RuleFailedError as error:
        return Said(rule, findings=(fault(rule, f"failed: {error}"),))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's rule: whatever it raises is told
        return Said(rule, findings=(fault(rule, f"raised {_told(error)}"),))
    for item in items:
        if wrong := _what_is_wrong(item, file):
            return Said(rule, findings=(fault(rule, wrong),))
    kept = [item for item in items if not file.ignores(file.line_of_item(item), rule.id)]
    return Said(
        rule,
        tuple(item._replace(rule=rule.id) for item in kept if isinstance(item, Edit)),
        tuple(item._replace(rule=rule.id) for item in kept if isinstance(item, Finding)),
        tuple(item._replace(rule=rule.id) for item in kept if isinstance(item, Setting)),
    )


def fault(rule: Rule[Any], what: str, line: int = 1) -> Finding:
    """Return the finding that *rule* could not do its part for a file, and that all others did theirs."""
    owner = "Capa" if rule.package == OURS else rule.package
    return Finding(
        rule.id,
        line,
        "error",
        f"the rule `{rule.id}` of {rule.package} {what}; nothing of it was used here",
        f"report it to the makers of {owner}; --skip {rule.id} leaves the rule out",
    )


def _what_is_wrong(item: object, file: Document) -> str | None:
    fields = _FIELDS.get(type(item))
    if fields is None:
        return f"yielded {item!r:.80}, which is no edit, finding or setting"
    if not all(map(isinstance, tuple(item), fields)):  # type: ignore[arg-type]  # the three are tuples
        return f"yielded wrong types: {item!r:.80}"
    if isinstance(item, Edit) and not 0 <= item.start <= item.end <= len(file.data):
        return f"yielded an edit outside the file, from {item.start} to {item.end}"
    if isinstance(item, Finding) and item.level not in get_args(Level):
        return f"yielded a finding of the level {item.level!r}"
    return None


def _told(error: BaseException) -> str:
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"
