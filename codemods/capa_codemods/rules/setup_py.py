"""setup.py: Capa is added to the lists in the call of `setup` that have an SDK.

    install_requires=["requests>=2"]  →  install_requires=["requests>=2", "capa-core[requests]"]

`install_requires`, `setup_requires`, `tests_require` and the lists of `extras_require`, where they are literal. A list
that is built elsewhere is left and reported: its items are known only when the file runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.entry_points import moved_entries
from capa_codemods.manifests.inserted import inserted, replaced
from capa_codemods.manifests.pins import contradictions
from capa_codemods.manifests.requirement import Missing, missing, with_extras
from capa_codemods.manifests.setup_file import Item, SetupFile
from capa_codemods.project import Project
from capa_codemods.rule import Rule


class SetupPy(Rule[SetupFile]):
    """Add Capa to a setup.py that requires an SDK."""

    id = "setup-py"
    summary = "a setup.py that requires an SDK in a literal list also requires capa-core with its extra"
    reads = SetupFile

    def check(self, file: SetupFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa, and a finding where the list is built elsewhere."""
        for items in file.lists:
            yield from self._list(items, file, project)
        required = ((item.value, item) for items in (*file.lists, file.loose) for item in items)
        yield from contradictions(self.id, required, attrgetter("line"), project.names)
        yield from moved_entries(self.id, file.entries, file.path, project)
        for lack in missing((item.value for item in file.loose), project.names):
            line = next(item.line for item in file.loose if lack.is_for(item.value, project.names))
            message = f"requires an SDK without {lack.text}: the list is not literal in `setup(…)`"
            yield Finding(self.id, line, "warning", message, "add it by hand")

    def _list(self, items: Sequence[Item], file: SetupFile, project: Project) -> Iterator[Edit | Finding]:
        for lack in missing((item.value for item in items), project.names):
            yield from self._lacking(items, file, lack, project)

    def _lacking(
        self, items: Sequence[Item], file: SetupFile, lack: Missing, project: Project
    ) -> Iterator[Edit | Finding]:
        ours = next((item for item in items if lack.fits(item.value)), None)
        last = ours or next(item for item in reversed(items) if lack.is_for(item.value, project.names))
        written = file.text[last.start : last.end]
        if written[1:-1] != last.value:
            message = f"requires an SDK without {lack.text}: the string before it is joined or escaped"
            yield Finding(self.id, last.line, "warning", message, "add it by hand")
        elif ours:
            yield from replaced(file, ours, with_extras(ours.value, lack.extras), self.id)
        else:
            yield from inserted(file, last, lack.text, self.id)
