"""The contract of a rule: one file, one class, one kind of document."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from capa_codemods.findings import Edit, Finding, Setting
from capa_codemods.project import Project
from capa_codemods.read.document import Document

D = TypeVar("D", bound=Document)

OURS = "capa-core"
"""The distribution whose rules come with the tool."""


class Rule(ABC, Generic[D]):
    """One change that is made wherever it fits.

    A rule keeps no state between files, so that files can be examined in any order and in several processes.
    Run on its own result it must yield no edit: twice gives the same as once.
    """

    id: ClassVar[str]
    """Short and stable: users write it in `--only`, `--skip` and `# capa: ignore[…]`, and every report has it."""

    summary: ClassVar[str]
    """The change, in one line."""

    reads: ClassVar[type[Document]]
    """The kind of document that `check` is given."""

    changes_shape: ClassVar[bool] = False
    """Whether it changes more than names. Then it runs only when its id is given, reads only what this
    interpreter can parse, with the names that have moved, and is proven to change nothing but the expressions and
    statements that it edits."""

    is_local: ClassVar[bool] = False
    """Whether the result for a statement depends on nothing else in the file, so that the file may be read in part."""

    words: ClassVar[tuple[str, ...]] = ()
    """Only a file that holds one of these, before names move, is given to `check`; without any, a file that may name
    an SDK."""

    settings: ClassVar[Mapping[str, Any] | None] = {}
    """The keys of `[tool.capa.migrate.<id>]` with their defaults, whose types are theirs; None takes any key."""

    limits: ClassVar[Mapping[str, float]] = {}
    """Keys of the same table that are limits which Capa sets, beside `settings`, with their defaults."""

    package = OURS
    """The distribution that registers the rule, with its version; set when the rule is loaded."""

    @abstractmethod
    def check(self, file: D, project: Project) -> Iterator[Edit | Finding | Setting]:
        """Yield the edits of *file*, and findings about places that are left alone.

        Must not touch a disk but through *project*, and must not raise for any document its kind can read.
        """

    def setting(self, key: str, project: Project) -> Any:
        """Return the value of *key* in `[tool.capa.migrate.<id>]`, or its default."""
        default = (self.settings or {}).get(key)
        return project.settings.get(self.id, {}).get(key, default)

    @property
    def source(self) -> str | None:
        """The file whose change may change the results of the rule; None if that is not known."""
        return getattr(sys.modules.get(type(self).__module__), "__file__", None)
