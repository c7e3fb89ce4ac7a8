"""setup.cfg: Capa is asked for beside the SDK.

    install_requires =           →  install_requires =
        requests>=2.31                  requests>=2.31
                                        capa-core[requests]

`install_requires`, `tests_require` and the extras. A single line in which `;` could begin a marker or the next
requirement is left and named.
"""

from __future__ import annotations

from capa_codemods.manifests.ini_file import SetupCfg as SetupCfgFile
from capa_codemods.manifests.line_rule import LineRule


class SetupCfg(LineRule[SetupCfgFile]):
    """Ask for Capa where setup.cfg asks for an SDK."""

    id = "setup-cfg"
    summary = "setup.cfg that asks for an SDK asks for capa-core with its extra too"
    reads = SetupCfgFile
