"""tox.ini: Capa is asked for beside the SDK.

    deps =                       →  deps =
        requests                        requests
                                        capa-core[requests]

Lines for some environments only (`py311: requests`) are left and named; what is taken over from elsewhere
(`{[testenv]deps}`, `-r requirements.txt`) is asked for there.
"""

from __future__ import annotations

from capa_codemods.manifests.ini_file import ToxIni
from capa_codemods.manifests.line_rule import LineRule


class Tox(LineRule[ToxIni]):
    """Ask for Capa where tox.ini asks for an SDK."""

    id = "tox"
    summary = "tox.ini that asks for an SDK asks for capa-core with its extra too"
    reads = ToxIni
