"""The pins of a tree that exclude Capa, without a rewrite: the same findings as the rules for manifests have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Finding
from capa_codemods.manifests.exclusions import exclusions
from capa_codemods.manifests.manifest_rule import ManifestRule
from capa_codemods.manifests.pins import Manifest
from capa_codemods.manifests.requirements_file import RequirementsFile
from capa_codemods.project import Project
from capa_codemods.read.files import read_file
from capa_codemods.rules import rule_offers


def excluding(project: Project) -> Iterator[tuple[str, Finding]]:
    """Yield the pins in the manifests of *project* that exclude Capa, each after the path of its manifest.

    A manifest that cannot be read is left out.
    """
    paths = list(filter(project.binds_others, project.files))
    if not paths:
        return
    ours = (offer.ours for offer in rule_offers())
    rules = [one() for one in ours if one is not None and issubclass(one, ManifestRule)]
    for path in paths:
        for rule in rules:
            if rule.reads.claims(path) or (rule.reads is RequirementsFile and project.inclusions.has(path)):
                yield from ((path, finding) for finding in _findings(rule, path, project))


def _findings(rule: ManifestRule[Any], path: str, project: Project) -> list[Finding]:
    try:
        data = read_file(f"{project.root}/{path}")
        if data is None or not rule.reads.may_concern(data, project.names):
            return []
        file = rule.reads(path, data)
    except (OSError, UnreadableError):
        return []
    return exclusions(rule.id, file, project) if isinstance(file, Manifest) else []
