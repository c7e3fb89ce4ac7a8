"""Listings of a tree of files, in the order of the keys."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capa_core.blocks.files.driver import FileEntry, FilePage
from capa_core.components.file._names import BESIDE, Kind, names_of, path_of, read_name
from capa_core.components.file._stored import entry_of
from capa_core.components.file._tree import Tree, folder_in, is_file, looked_at


@dataclass(frozen=True, slots=True)
class _Child:
    """A file or folder in a folder: its part of the key, and the names that lead to it, several for a long part."""

    part: str
    is_folder: bool
    names: tuple[str, ...]

    @property
    def order(self) -> str:
        """The text for sorting: the keys in a folder `a` come after `a-` and before `a0`."""
        return f"{self.part}/" if self.is_folder else self.part


def page(tree: Tree, prefix: str, *, by_folder: bool, token: str, most: int) -> FilePage:
    """Return a part of the files below *prefix*: see `FilesDriver.page`. The token is the last key or prefix."""
    start = prefix.rfind("/") + 1
    with tree.folder(path_of(prefix[: start - 1]) if start else ()) as folder:
        if folder is None:
            return FilePage()
        walk = _Walk(prefix, token, by_folder=by_folder)
        found: list[FileEntry | str] = []
        for each in walk.below(folder, prefix[:start]):
            if len(found) == most:
                return _page(found, is_last=False)
            found.append(each)
    return _page(found, is_last=True)


def _page(found: Sequence[FileEntry | str], *, is_last: bool) -> FilePage:
    shown = [each if isinstance(each, str) else each.key for each in found]
    return FilePage(
        files=[each for each in found if not isinstance(each, str)],
        prefixes=[each for each in found if isinstance(each, str)],
        token="" if is_last else shown[-1],
    )


class _Walk:
    """A walk through the folders, in the order of the keys, of what begins with *prefix* and comes after *token*."""

    def __init__(self, prefix: str, token: str, *, by_folder: bool) -> None:
        self._prefix = prefix
        self._token = token
        self._by_folder = by_folder

    def below(self, folder: int, base: str) -> Iterator[FileEntry | str]:
        """Yield files, and with *by_folder* the prefixes of others, in *folder*, whose keys begin with *base*."""
        for child in sorted(_children(folder), key=lambda each: each.order):
            key = base + child.order
            if not child.is_folder:
                if key.startswith(self._prefix) and key > self._token:
                    yield from _entry(folder, child, key)
            elif self._by_folder and key.startswith(self._prefix) and key != self._prefix:
                if key > self._token and _has_file(folder, child):
                    yield key
            elif self._may_have(key):
                with folder_in(folder, child.names) as inner:
                    if inner is not None:
                        yield from self.below(inner, key)

    def _may_have(self, key: str) -> bool:
        """Return whether something that is wanted may be in the folder whose keys begin with *key*."""
        is_after = key > self._token or self._token.startswith(key)
        return is_after and (key.startswith(self._prefix) or self._prefix.startswith(key))


def _children(folder: int) -> list[_Child]:
    """Return what is in *folder*; a file that is there under both of its names once."""
    found: dict[str, _Child] = {}
    for child in _found(folder):
        other = found.get(child.order)
        if other is None or not child.names[-1].endswith(BESIDE):
            found[child.order] = child
    return list(found.values())


def _found(folder: int, stem: str = "", above: tuple[str, ...] = ()) -> Iterator[_Child]:
    with os.scandir(folder) as entries:
        seen = [(each.name, each.is_dir(follow_symlinks=False)) for each in entries if not each.is_symlink()]
    for name, is_folder in seen:
        if (read := read_name(name)) is None:
            continue
        text, kind = read
        names = (*above, name)
        if kind is Kind.CONTINUED and is_folder:
            with folder_in(folder, (name,)) as inner:
                if inner is not None:
                    yield from _found(inner, stem + text, names)
        elif kind is not Kind.CONTINUED and _is_own(stem + text, names, is_folder=is_folder):
            yield _Child(stem + text, is_folder, names)


def _is_own(part: str, names: tuple[str, ...], *, is_folder: bool) -> bool:
    """Return whether *part* would be stored at *names*: another program's file may have any name."""
    try:
        expected = names_of(part)
    except UnicodeEncodeError:
        return False
    return names == expected or (not is_folder and names == (*expected[:-1], expected[-1] + BESIDE))


def _entry(folder: int, child: _Child, key: str) -> Iterator[FileEntry]:
    with folder_in(folder, child.names[:-1]) as inner:
        found = None if inner is None else looked_at(inner, child.names[-1])
    if found is not None and is_file(found):
        yield entry_of(key, found)


def _has_file(folder: int, child: _Child) -> bool:
    with folder_in(folder, child.names) as inner:
        if inner is None:
            return False
        children = sorted(_children(inner), key=lambda each: each.is_folder)
        return any(not each.is_folder or _has_file(inner, each) for each in children)
