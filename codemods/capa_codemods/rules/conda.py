"""Conda environments: Capa is asked for in the list for pip, beside the SDK.

    - pip:                       →  - pip:
      - requests>=2.31                - requests>=2.31
                                      - capa-core[requests]

An environment that asks nothing of pip is left and named, and so is what is no plain YAML.
"""

from __future__ import annotations

from capa_codemods.manifests.conda_file import CondaFile
from capa_codemods.manifests.line_rule import LineRule


class Conda(LineRule[CondaFile]):
    """Ask for Capa where a conda environment asks for an SDK."""

    id = "conda"
    summary = "conda environments that ask for an SDK ask pip for capa-core with its extra too"
    reads = CondaFile
