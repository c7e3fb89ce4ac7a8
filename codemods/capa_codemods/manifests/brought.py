"""Extras of Capa that the files and folders of an installation bring, or will bring after the rewrite."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Sequence

from capa_codemods.command_lines.installs import Installation
from capa_codemods.manifests.required import requires
from capa_codemods.project import PROJECT_FILES, Project


def brings(installation: Installation, extras: Collection[str], path: str, project: Project) -> bool:
    """Return whether *installation*, a command in the file at *path*, gets all *extras* from files and folders.

    A manifest that requires an SDK brings its extra: the rewrite adds that, or reports at the manifest why not.
    """
    manifests = {*_installed_files(installation.files, path, project)}
    for folder in installation.projects:
        manifests.update(_of_project(folder, path, project))
    return are_brought(extras, manifests, project)


def are_brought(extras: Collection[str], manifests: Collection[str], project: Project) -> bool:
    """Return whether for each of *extras* one of *manifests* requires the SDK, and so gets or has the extra."""
    owners = [one for one in project.names.maps if one.extra in extras]
    return all(any(requires(path, project, one.distributions) for path in manifests) for one in owners)


def _installed_files(files: Sequence[str], path: str, project: Project) -> Iterator[str]:
    for file in files:
        for found in _places(file, path, project):
            yield from project.inclusions.together(found)


def _places(file: str, path: str, project: Project) -> list[str]:
    """Return the files of the tree that *file* may be: a container has copies in other folders."""
    exact = [place for place in _from(file, path) if place in project.listed]
    name = posixpath.basename(file)
    return exact[:1] or [one for one in project.files if posixpath.basename(one) == name]


def _of_project(folder: str, path: str, project: Project) -> Iterator[str]:
    for place in _from(folder, path):
        yield from (
            found
            for name in PROJECT_FILES
            if (found := f"{place}/{name}".removeprefix("./")) in project.listed
        )


def _from(name: str, path: str) -> tuple[str, str]:
    """Return the path *name* as it is meant in the folder of *path*, and at the root of the tree."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), name)), posixpath.normpath(name)
