"""tox.ini: Capa is added to lists of requirements that have an SDK.

    deps =                       →  deps =
        requests                        requests
                                        capa-core[requests]

Lines for some environments only (`py311: requests`) are left and reported; requirements that come from elsewhere
(`{[testenv]deps}`, `-r requirements.txt`) are changed there.
"""

from __future__ import annotations

from capa_codemods.manifests.ini_file import ToxIni
from capa_codemods.manifests.line_rule import LineRule


class Tox(LineRule[ToxIni]):
    """Add Capa to a tox.ini that requires an SDK."""

    id = "tox"
    summary = "a tox.ini that requires an SDK also requires capa-core with its extra"
    reads = ToxIni
