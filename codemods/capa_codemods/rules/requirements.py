"""Requirements files: a line for Capa is added to those that require an SDK.

    requests>=2.31  # http      →  requests>=2.31  # http
                                   capa-core[requests]
    capa-core[celery]           →  capa-core[celery,requests]
    celery; os_name == "nt"     →  celery; os_name == "nt"
                                   capa-core[celery]; os_name == "nt"

Order, comments and markers are kept. Files that a tool has generated are not edited: the finding names the command
that makes them again. Nor are those whose first comments forbid it, which the finding quotes, nor those with hashes, in
which pip refuses a line without one. A requirement that excludes the versions that an adapter supports is reported, in
this kind of file and all others.
"""

from __future__ import annotations

from capa_codemods.manifests.line_rule import LineRule
from capa_codemods.manifests.requirements_file import RequirementsFile


class Requirements(LineRule[RequirementsFile]):
    """Add Capa to requirements files that require an SDK."""

    id = "requirements"
    summary = "requirements files that require an SDK also require capa-core with its extra"
    reads = RequirementsFile
