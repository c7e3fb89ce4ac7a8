"""Prove the edits of the rules that move names, and leave out those of other packages that cannot be proven."""

from __future__ import annotations

from capa_codemods.errors import UnreadableError
from capa_codemods.file_rewrite import FileRewrite, RuleResult
from capa_codemods.pipeline.run_rule import refused, run_rule
from capa_codemods.project import Project
from capa_codemods.proof import flaw_of
from capa_codemods.read.document import Document
from capa_codemods.rule import OURS


def proven_names(rewrite: FileRewrite, project: Project) -> FileRewrite:
    """Return *rewrite* with nothing but proven edits, or with the flaw of one of Capa's own rules."""
    if not rewrite.edits and rewrite.flaw is None:
        return rewrite
    if all(result.rule.package == OURS for result in rewrite.results if result.edits):
        flaw = flaw_of(rewrite, project.names)
        return rewrite._replace(flaw=flaw) if flaw else rewrite
    return _proven_one_by_one(rewrite, project)


def _proven_one_by_one(rewrite: FileRewrite, project: Project) -> FileRewrite:
    """Prove each result on top of those before it: a rule of another package must not spoil proven ones."""
    kept: list[RuleResult] = []
    for number, result in enumerate(rewrite.results):
        tried = FileRewrite.of(rewrite.file, [*kept, result])
        flaw = tried.flaw or flaw_of(tried, project.names)
        if result.rule.package == OURS:
            if flaw:
                return tried._replace(flaw=flaw, results=(*tried.results, *rewrite.results[number + 1 :]))
            kept.append(result)
        else:
            flaw = flaw or _flaw_of_second_run(rewrite.file, result, project)
            why = f"makes edits that could not be proven: {flaw}"
            kept.append(refused(result, why) if flaw else result)
    return FileRewrite.of(rewrite.file, kept)


def _flaw_of_second_run(file: Document, result: RuleResult, project: Project) -> str | None:
    if not result.edits:
        return None
    try:
        alone = FileRewrite.of(file, [result]).reread()
    except UnreadableError as error:
        return str(error)
    again = run_rule(result.rule, alone, project)
    return "a second run would change the result again" if again.edits else None
