"""setup.py: Capa is added to the lists in the call of `setup` that have an SDK.

    install_requires=["requests>=2"]  →  install_requires=["requests>=2", "capa-core[requests]"]

`install_requires`, `setup_requires`, `tests_require` and the lists of `extras_require`, where they are literal. A list
that is built elsewhere is left and reported: its items are known only when the file runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.entry_points import moved_entries
from capa_codemods.manifests.inserted import inserted, inserted_before, replaced
from capa_codemods.manifests.manifest_rule import ManifestRule
from capa_codemods.manifests.missing import Missing, missing
from capa_codemods.manifests.neighbours import sorted_place
from capa_codemods.manifests.requirement import with_extras
from capa_codemods.manifests.setup_file import Item, SetupFile
from capa_codemods.project import Project


class SetupPy(ManifestRule[SetupFile]):
    """Add Capa to a setup.py that requires an SDK."""

    id = "setup-py"
    summary = "a setup.py that requires an SDK in a literal list also requires capa-core with its extra"
    reads = SetupFile
    is_for_all_pythons = True

    def added(self, file: SetupFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa, and a finding where the list is built elsewhere."""
        for items in file.lists:
            yield from self._list(items, file, project)
        yield from moved_entries(self.id, file.entries, file.path, project)
        for lack in missing((item.value for item in file.loose), project.names):
            line = next(item.line for item in file.loose if lack.is_for(item.value, project.names))
            message = f"lists an SDK without {lack.text}: the list is not literal in `setup(…)`"
            yield Finding(self.id, line, "warning", message, "add it by hand", blocks=True)

    def _list(self, items: Sequence[Item], file: SetupFile, project: Project) -> Iterator[Edit | Finding]:
        lacks = missing((item.value for item in items), project.names)
        for lack in lacks:
            yield from self._lacking(items, file, lack, project, is_only=len(lacks) == 1)

    def _lacking(
        self, items: Sequence[Item], file: SetupFile, lack: Missing, project: Project, *, is_only: bool
    ) -> Iterator[Edit | Finding]:
        ours = next((item for item in items if lack.fits(item.value)), None)
        last = ours or next(item for item in reversed(items) if lack.is_for(item.value, project.names))
        written = file.text[last.start : last.end]
        if written[1:-1] != last.value:
            message = f"requires an SDK without {lack.text}: the string before it is joined or escaped"
            yield Finding(self.id, last.line, "warning", message, "add it by hand", blocks=True)
        elif ours:
            yield from replaced(file, ours, with_extras(ours.value, lack.extras), self.id)
        else:
            texts = [item.value for item in items]
            text = lack.text_among(texts)
            place = sorted_place(texts, text) if is_only else None
            if place == 0:
                yield from inserted_before(file, items[0], text, self.id)
            else:
                yield from inserted(file, items[place - 1] if place else last, text, self.id)
