"""What a rule is: one file, one class, one kind of document."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

from capa_codemods.engine.document import Document
from capa_codemods.findings import Edit, Finding
from capa_codemods.project import Project

D = TypeVar("D", bound=Document)


class Rule(ABC, Generic[D]):
    """One change that is made wherever it fits.

    A rule keeps no state between files, so that files can be examined in any order and in several processes.
    Run on its own result it must say nothing: twice gives the same as once.
    """

    id: ClassVar[str]
    """Short and stable: it stands in `--only`, `--skip`, `# capa: ignore[…]` and every report."""

    summary: ClassVar[str]
    """What changes, in one line."""

    reads: ClassVar[type[Document]]
    """The kind of document that `check` is given."""

    @abstractmethod
    def check(self, file: D, project: Project) -> Iterator[Edit | Finding]:
        """Yield what to change in *file*, and what was seen and left alone.

        Must not touch a disk but through *project*, and must not raise for any document its kind can read.
        """
