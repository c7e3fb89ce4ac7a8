"""Python files of a tree, and whether one names an SDK or an adapter."""

from __future__ import annotations

from collections.abc import Iterator

from capa_codemods.api import NotebookFile, Project, PythonFile, Sieve, find_scripts

PYTHON = (*PythonFile.suffixes, *NotebookFile.suffixes)


def python_files(project: Project) -> Iterator[str]:
    """Yield the files of *project* with Python that are not of Capa itself."""
    scripts = find_scripts(project.root, project.files)
    for path in project.files:
        is_python = path.endswith(PYTHON) or path in scripts
        if is_python and project.capa_around(path.rpartition("/")[0]) is None:
            yield path


def names_one(roots: Sieve, path: str, data: bytes) -> bool:
    """Return whether the Python file at *path*, which holds *data*, imports or quotes one of *roots*."""
    # The code of a notebook is inside strings of JSON.
    return (roots.names if NotebookFile.claims(path) else roots.imports_or_quotes)(data)
