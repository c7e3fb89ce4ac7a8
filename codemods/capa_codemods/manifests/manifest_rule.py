"""The rule for one kind of manifest: Capa is added to it, unless its pins exclude that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, TypeVar

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.exclusions import exclusions, older_pythons
from capa_codemods.manifests.pins import Manifest
from capa_codemods.project import Project
from capa_codemods.rule import Rule

M = TypeVar("M", bound=Manifest)


class ManifestRule(Rule[M]):
    """The rule for such manifests; each subclass names its kind of file."""

    is_for_all_pythons: ClassVar[bool] = False
    """Whether the file can be installed with each version of Python that it allows, rather than with one of them."""

    def check(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the pins that exclude Capa, which keep the file as it is, or else the items of `added`."""
        if excluded := exclusions(self.id, file, project):
            yield from excluded
            return
        yield from self.added(file, project)
        if self.is_for_all_pythons:
            yield from older_pythons(self.id, file, project)

    @abstractmethod
    def added(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa to *file*, and findings where none is certain."""
