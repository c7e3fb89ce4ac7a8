"""Missing requirements: code moves to Capa and no manifest would install it, as another package installs the SDK."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capa_codemods.api import CAPA_DISTRIBUTION, Finding, Outcome, Project, capa_requirement, requires

_RULE = "manifests"
_IMPORTS = "imports"


def with_missing_requirements(project: Project, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return *outcomes* with a warning at the first manifest for each SDK that moves and that no manifest requires.

    A tree without a manifest keeps its requirements elsewhere, and gets no warning.
    """
    findings = tuple(_findings(project, outcomes)) if project.manifests else ()
    if not findings:
        return list(outcomes)
    place = min(project.manifests, key=lambda path: (path.count("/"), path))
    first = next((one for one in outcomes if one.path == place), Outcome(place, "clean"))
    others = [one for one in outcomes if one.path != place]
    return [*others, first._replace(findings=(*first.findings, *findings))]


def _findings(project: Project, outcomes: Sequence[Outcome]) -> Iterator[Finding]:
    # A file that requires Capa itself, such as a script with a header, needs no manifest.
    lacking = (
        one for one in outcomes if not any(CAPA_DISTRIBUTION.encode() in edit.new for edit in one.edits)
    )
    moved = b"\n".join(
        edit.new for one in lacking if one.status == "changed" for edit in one.edits if edit.rule == _IMPORTS
    )
    for owner in project.names.maps:
        wanted = [*owner.distributions, CAPA_DISTRIBUTION]
        if owner.package.encode() in moved and not any(
            requires(manifest, project, wanted) for manifest in project.manifests
        ):
            message = (
                f"no manifest requires {owner.name}, so none will require {capa_requirement([owner.extra])}"
            )
            step = "add it here, or where the application is installed"
            yield Finding(_RULE, 1, "warning", message, step, blocks=True)
