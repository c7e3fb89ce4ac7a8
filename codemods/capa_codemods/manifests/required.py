"""Requirements of a manifest, as distinct from mere mentions of a distribution.

Each kind of manifest is read where requirements may be: keys that are about requirements, lines for pip, strings of a
setup.py. Descriptions, keywords and the settings of linters are mentions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from capa_codemods.errors import UnreadableError
from capa_codemods.manifests.conda_file import CondaFile
from capa_codemods.manifests.ini_file import IniFile, SetupCfg, ToxIni
from capa_codemods.manifests.requirement import read_requirement
from capa_codemods.manifests.requirements_file import RequirementsFile
from capa_codemods.manifests.setup_file import SetupFile
from capa_codemods.manifests.toml_manifest import Pipfile, PyprojectFile
from capa_codemods.project import Project
from capa_codemods.read.files import read_file
from capa_codemods.sdks.names import normalized_name, spellings_pattern

_Manifest = PyprojectFile | Pipfile | IniFile | SetupFile | CondaFile | RequirementsFile
_KINDS: tuple[type[_Manifest], ...] = (
    *(PyprojectFile, Pipfile, SetupCfg, ToxIni),
    *(SetupFile, CondaFile, RequirementsFile),
)
# Keys, of any tool, below which requirements may be.
_REQUIRING = re.compile(r"requir|depend|deps|install|packages|source|commands", re.IGNORECASE)
# Keys of a dependency whose values are a part or a condition of it.
_PARTS = frozenset({"extras", "markers"})
# setuptools takes the list from elsewhere.
_ELSEWHERE = ("file:", "attr:")


def requires(manifest: str, project: Project, distributions: Sequence[str]) -> bool:
    """Return whether *manifest*, a path, requires one of *distributions*, or names one and may require it."""
    named = spellings_pattern(distributions)
    if not named.search(project.text_of(manifest)):
        return False
    wanted = frozenset(map(normalized_name, distributions))
    texts = _texts_of(manifest, project)
    return texts is None or any(_is_of(text, wanted, named) for text in texts)


def _is_of(text: str, wanted: frozenset[str], named: re.Pattern[str]) -> bool:
    found = read_requirement(text)
    # An option, a path or an address may have the name of the distribution that it brings.
    return found.name in wanted if found else named.search(text) is not None


def _texts_of(manifest: str, project: Project) -> Iterable[str] | None:
    """Return the texts of *manifest* that are, or may be, requirements; None if it may have others."""
    kind = next((one for one in _KINDS if one.claims(manifest)), None)
    if kind is None and manifest in project.inclusions.required:
        kind = RequirementsFile
    try:
        data = read_file(os.path.join(project.root, manifest), follow_link=True)
        return _texts(kind(manifest, data)) if kind and data is not None else None
    except (OSError, UnreadableError):
        return None


def _texts(file: _Manifest) -> Iterable[str] | None:
    match file:
        case SetupFile() | CondaFile() | RequirementsFile():
            return file.texts
        case Pipfile():
            return [text for _, table in file.dependency_tables for text in _below(table, is_requiring=True)]
        case PyprojectFile():
            return None if file.is_dynamic or file.legacy_tox_ini else list(_below(file.tables))
        case IniFile():
            words = list(_words(file))
            return None if any(word.startswith(_ELSEWHERE) for word in words) else words


def _words(file: IniFile) -> Iterator[str]:
    for section, options in file.values.items():
        for option, value in options.items():
            if _REQUIRING.search(f"{section} {option}"):
                yield from (value or "").split()


def _below(value: Any, *, is_requiring: bool = False) -> Iterator[str]:
    """Yield the keys and the lines of *value* below a key that is about requirements."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [key] if is_requiring and not _is_group(inner) else []
            if key not in _PARTS:
                yield from _below(inner, is_requiring=is_requiring or _REQUIRING.search(key) is not None)
    elif isinstance(value, list):
        for inner in value:
            yield from _below(inner, is_requiring=is_requiring)
    elif isinstance(value, str) and is_requiring:
        yield from value.splitlines()


def _is_group(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, str) for one in value)
