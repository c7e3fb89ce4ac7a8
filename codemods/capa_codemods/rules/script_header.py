"""Headers of scripts (PEP 723): Capa is added to those that require an SDK.

    # /// script                    →  # /// script
    # dependencies = [                 # dependencies = [
    #   "requests<3",                  #   "requests<3",
    # ]                                #   "capa-core[requests]",
    # ///                              # ]
                                       # ///

A tool that runs the script, such as `uv run`, installs the requirements of its header and nothing else.
"""

from __future__ import annotations

from capa_codemods.manifests.script_header import ScriptHeader as Header
from capa_codemods.manifests.toml_rule import TomlRule


class ScriptHeader(TomlRule[Header]):
    """Add Capa to headers of scripts that require an SDK."""

    id = "script-header"
    summary = "scripts whose header requires an SDK also require capa-core with its extra"
    reads = Header
