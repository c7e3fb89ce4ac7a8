"""Read a manifest only as text: enough to say that it names an SDK."""

from __future__ import annotations

from collections.abc import Sequence

from capa_codemods.engine.document import Document
from capa_codemods.findings import Edit
from capa_codemods.names import Names

NAMES = ("setup.py", "setup.cfg", "Pipfile", "tox.ini", "environment.yml", "environment.yaml")


class OtherManifest(Document):
    """A manifest that is read and not edited."""

    suffixes = NAMES

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*, whatever it is."""
        super().__init__(path, data)
        self.text = data.decode(errors="replace")

    @classmethod
    def claims(cls, path: str) -> bool:
        """Say whether *path* has the name of such a manifest."""
        return path.rpartition("/")[2] in NAMES

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Say whether *data* may name a distribution of an SDK."""
        return names.may_require(data.decode(errors="replace"))

    def flaw(self, new: bytes, edits: Sequence[Edit], names: Names) -> str | None:  # noqa: ARG002
        """Refuse: nothing is known of how to prove a change."""
        return "a file of this kind is not edited"
