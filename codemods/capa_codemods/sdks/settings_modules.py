"""Settings modules: the settings of an SDK in the settings of a framework, such as `CELERY_BROKER_URL` in Django's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from capa_codemods.sdks.import_map import NameLine
from capa_codemods.sdks.names import Names

_ASSIGNED = re.compile(rb"^[ \t]*([A-Z][A-Z0-9_]+)[ \t]*(?::[^=\r\n]+)?=(?!=)", re.MULTILINE)


def settings_in(data: bytes, names: Names) -> Iterator[tuple[int, str, NameLine]]:
    """Yield each setting that *data*, Python, assigns and that is not served in full, after its line and its name."""
    if not any(prefix in data for prefix in names.settings_prefixes):
        return
    for found in _ASSIGNED.finditer(data):
        name = found[1].decode()
        if line := names.settings.get(name):
            yield data.count(b"\n", 0, found.start(1)) + 1, name, line
