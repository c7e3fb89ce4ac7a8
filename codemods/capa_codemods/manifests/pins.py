"""Manifests: files that list requirements, which pin versions."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.manifests.needs import PYTHON
from capa_codemods.read.document import ComparedDocument


class Pin(NamedTuple):
    """A requirement or a constraint of a manifest, and the line that it begins on."""

    text: str
    line: int

    @classmethod
    def of_python(cls, versions: str, line: int) -> Pin:
        """Return the pin of the interpreter to *versions*."""
        return cls(f"{PYTHON}[]{versions}", line)


class Manifest(ComparedDocument):
    """A file that lists requirements."""

    @property
    @abstractmethod
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements and constraints, and the versions of Python."""
