"""Settings of Celery in the settings module of a framework that lose their effect: read, never changed.

    CELERY_TASK_SEND_SENT_EVENT = True     a warning: no events are sent, and what to use instead
    CELERY_BROKER_URL = "redis://…"        a warning: capa.toml names the component, in `[pubsub.default]`
    CELERY_TASK_ACKS_LATE = True           nothing: it is served

They stay: on the side `legacy` they count as before. One warning stands for all settings of a file with the same
reason, at the first of them; `# capa: ignore[celery-settings]` there settles it.
"""

from __future__ import annotations

from collections.abc import Iterator

from capa_codemods.findings import Finding
from capa_codemods.project import Project
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rule import Rule
from capa_codemods.sdks.import_map import reason_id
from capa_codemods.sdks.settings_modules import settings_in


class CelerySettings(Rule[PythonFile]):
    """Name the settings that lose their effect."""

    id = "celery-settings"
    summary = (
        "settings of Celery in a settings module that lose their effect are named, with what replaces them"
    )
    reads = PythonFile
    words = ("CELERY_",)
    is_local = True

    def check(self, file: PythonFile, project: Project) -> Iterator[Finding]:
        """Yield a finding for the settings of each reason."""
        groups: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
        for line, name, known in settings_in(file.data, project.names):
            groups.setdefault((known.reason, known.see, known.instead), []).append((line, name))
        for (reason, see, instead), held in groups.items():
            step = f"use {instead}" if instead else f"`capa explain {reason_id(see)}`"
            names = ", ".join(dict.fromkeys(name for _, name in held))
            yield Finding(self.id, held[0][0], "warning", f"{names}: {reason}", step)
