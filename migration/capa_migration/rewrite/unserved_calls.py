"""Calls that move to an adapter which does not serve them, or serves them with another outcome.

A warning at each, before the rewrite and after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from capa_codemods.api import (
    Finding,
    Names,
    NotebookFile,
    Outcome,
    Project,
    PythonFile,
    UnreadableError,
    read_file,
)
from capa_migration.rewrite.remarks import next_step_of
from capa_migration.rewrite.report import shape
from capa_migration.rewrite.scan.origins import plain
from capa_migration.rewrite.scan.results import FileResult
from capa_migration.rewrite.scan.sites import Site

_UNSERVED = "unserved"


def with_unserved_calls(
    project: Project, outcomes: Sequence[Outcome], results: Mapping[str, FileResult]
) -> list[Outcome]:
    """Return *outcomes* with a warning at each such call in the *results* of a `NearbyReader`.

    Such warnings of an earlier run are replaced: a call may depend on another file, which has changed.
    """
    held = {one.path: _without_calls(one) for one in outcomes}
    for path, found in results.items():
        if findings := _findings(project, path, found):
            one = held.get(path, Outcome(path, "clean"))
            ordered = sorted((*one.findings, *findings), key=lambda finding: finding.line)
            held[path] = one._replace(findings=tuple(ordered))
    return list(held.values())


def _without_calls(outcome: Outcome) -> Outcome:
    others = tuple(one for one in outcome.findings if not _is_about_call(one))
    return outcome if len(others) == len(outcome.findings) else outcome._replace(findings=others)


def _is_about_call(finding: Finding) -> bool:
    # The ID of a reason, such as `celery/remote-control`; no rule has a `/` in its name.
    return "/" in finding.rule or finding.rule == _UNSERVED


def _findings(project: Project, path: str, found: FileResult) -> list[Finding]:
    # The rule for strings reports patch targets.
    calls = [site for site in (*found.sites, *found.moved) if site.kind != "patch"]
    told = [site for site in calls if site.support == "none" or _changes(site, project.names)]
    imports = [site.name for site in told if site.kind == "import"]
    staying = [
        name for name in imports if name not in project.names.modules
    ]  # the rule for imports reports them
    findings = [_finding(site) for site in told if not _hangs_on(site, staying)]
    return list(_heeded(project, path, findings)) if findings else []


def _hangs_on(site: Site, imported: Sequence[str]) -> bool:
    """Return whether *site* is one of the names *imported*, or reached through one."""
    return any(f"{plain(site.name)}.".startswith(f"{name}.") for name in imported)


def _changes(site: Site, names: Names) -> bool:
    limit = names.limit(plain(site.name), site.arguments)
    return limit is not None and limit.changes


def _finding(site: Site) -> Finding:
    effect = "is not served" if site.support == "none" else "behaves otherwise"
    message = f"{shape(site)} {effect}: {site.reason}"
    return Finding(site.reason_id, site.line, "warning", message, next_step_of(site))


def _heeded(project: Project, path: str, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield *findings* without those that a comment in the file switches off."""
    data = read_file(f"{project.root}/{path}") or b""
    kind = NotebookFile if NotebookFile.claims(path) else PythonFile
    try:
        document = kind(path, data) if b"capa:" in data else None
    except UnreadableError:
        document = None
    for one in findings:
        names = (one.rule, _UNSERVED)
        if document is None or not any(document.ignores(one.line, name) for name in names):
            yield one
