"""Conda environments: Capa is added to the list for pip that has the SDK.

    - pip:                       →  - pip:
      - requests>=2.31                - requests>=2.31
                                      - capa-core[requests]

An environment without a list for pip is left and reported, and so is one in other than plain YAML.
"""

from __future__ import annotations

from capa_codemods.manifests.conda_file import CondaFile
from capa_codemods.manifests.line_rule import LineRule


class Conda(LineRule[CondaFile]):
    """Add Capa to conda environments that require an SDK."""

    id = "conda"
    summary = "conda environments that require an SDK also require capa-core with its extra, by pip"
    reads = CondaFile
    includes = True
