"""Headers of scripts (PEP 723): Capa is asked for beside the SDK.

    # /// script                    →  # /// script
    # dependencies = [                 # dependencies = [
    #   "requests<3",                  #   "requests<3",
    # ]                                #   "capa-core[requests]",
    # ///                              # ]
                                       # ///

A tool that runs the script, such as `uv run`, installs what its header asks for and nothing else.
"""

from __future__ import annotations

from capa_codemods.manifests.script_header import ScriptHeader as Header
from capa_codemods.manifests.toml_rule import TomlRule


class ScriptHeader(TomlRule[Header]):
    """Ask for Capa where the header of a script asks for an SDK."""

    id = "script-header"
    summary = "scripts whose header asks for an SDK ask for capa-core with its extra too"
    reads = Header
