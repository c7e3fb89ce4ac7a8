"""Warn where code moves to Capa and no manifest would bring Capa along: another package brings the SDK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capa_codemods.api import CAPA_DISTRIBUTION, Finding, Outcome, Project, asks_for, capa_requirement

_RULE = "manifests"
_IMPORTS = "imports"


def unasked(project: Project, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return *outcomes* with a warning at the first manifest for each SDK that moves and that none asks for.

    A tree without a manifest says elsewhere what it needs, and gets no warning.
    """
    findings = tuple(_findings(project, outcomes)) if project.manifests else ()
    if not findings:
        return list(outcomes)
    place = min(project.manifests, key=lambda path: (path.count("/"), path))
    told = next((one for one in outcomes if one.path == place), Outcome(place, "clean"))
    others = [one for one in outcomes if one.path != place]
    return [*others, told._replace(findings=(*told.findings, *findings))]


def _findings(project: Project, outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    # What asks for Capa itself, such as a script with a header, needs no manifest.
    lacking = (
        one for one in outcomes if not any(CAPA_DISTRIBUTION.encode() in edit.new for edit in one.edits)
    )
    moved = b"\n".join(
        edit.new for one in lacking if one.status == "changed" for edit in one.edits if edit.rule == _IMPORTS
    )
    for owner in project.names.maps:
        wanted = [*owner.distributions, CAPA_DISTRIBUTION]
        if owner.package.encode() in moved and not any(
            asks_for(manifest, project, wanted) for manifest in project.manifests
        ):
            message = (
                f"no manifest asks for {owner.name}, so none will ask for {capa_requirement([owner.extra])}"
            )
            yield Finding(_RULE, 1, "warning", message, "add it here, or where the application is installed")
