"""Requirements files: Capa is asked for beside the SDK.

    requests>=2.31  # http      →  requests>=2.31  # http
                                   capa-core[requests]
    capa-core[celery]           →  capa-core[celery,requests]
    celery; os_name == "nt"     →  celery; os_name == "nt"
                                   capa-core[celery]; os_name == "nt"

Order, comments and markers are kept. Files that a tool has generated are not edited: the finding says which
command makes them again. Nor are those whose first comments say not to, which the finding quotes, nor those with
hashes, in which pip takes no line without one. A requirement that excludes the versions that an adapter takes is
named, in this kind of file and all others.
"""

from __future__ import annotations

from capa_codemods.manifests.line_rule import LineRule
from capa_codemods.manifests.requirements_file import RequirementsFile


class Requirements(LineRule[RequirementsFile]):
    """Ask for Capa in requirements files that ask for an SDK."""

    id = "requirements"
    summary = "requirements files that ask for an SDK ask for capa-core with its extra too"
    reads = RequirementsFile
