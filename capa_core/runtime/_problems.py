"""The errors that programs get from settings and files although every component answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from capa_core.block import blocks
from capa_core.errors import CapaError, MissingExtraError, UnknownNameError
from capa_core.runtime._addresses_index import AddressIndex
from capa_core.runtime._layers import read_profiles
from capa_core.runtime._registry import driver_type

if TYPE_CHECKING:
    from pydantic import BaseModel

    from capa_core.block import Block
    from capa_core.blocks.configuration import Configuration
    from capa_core.runtime._report import ComponentReport
    from capa_core.runtime._runtime import Runtime
    from capa_core.runtime._settings import Loaded


AdapterTables = Mapping[str, "type[BaseModel]"]


def problems(
    runtime: Runtime, answering: Iterable[ComponentReport], adapters: AdapterTables | None = None
) -> list[str]:
    """Return the errors of legacy addresses, required abilities, profiles, and configuration that cannot be read.

    Of profiles that are not chosen, all keys are checked, and the values of those that belong to no driver or
    adapter. The others may refer to what only the machines of that profile have; nothing is opened.

    Args:
        answering: The components to read from.
        adapters: The models of the `[adapters.<name>]` tables, by that name.
    """
    found: list[str] = []
    for check in (lambda: AddressIndex(runtime.loaded), runtime.require):
        try:
            check()
        except CapaError as error:
            found.append(str(error))
    if runtime.loaded.file:
        for name in read_profiles(runtime.loaded.file):
            if name != runtime.loaded.profile:
                found.extend(map(str, _of_profile(runtime.loaded.file, name, adapters or {})))
    groups = (row.component(runtime) for row in answering if row.block == "configuration")
    return found + [problem for one in groups for problem in _unreadable(one)]


def _of_profile(file: Path, name: str, adapters: AdapterTables) -> Iterator[CapaError]:
    from capa_core.runtime._settings import load, unknown_keys

    try:
        loaded = load(None, file=file, start=None, profile=name, environ={})
    except CapaError as error:
        yield error
        return
    for block in blocks().values():
        for table in loaded.tables(block.name):
            yield from _of_component(loaded, block, table)
    for adapter in sorted(adapters.keys() & loaded.settings.adapters.keys()):
        try:
            unknown_keys(loaded.settings.adapters[adapter], adapters[adapter], loaded, ("adapters", adapter))
        except UnknownNameError as error:
            yield error


def _of_component(loaded: Loaded, block: Block, name: str) -> Iterator[CapaError]:
    from capa_core.runtime._settings import unknown_keys

    table, path = loaded.tables(block.name)[name], (block.name, name)
    try:
        kind = driver_type(block, table.driver or block.embedded, loaded.origin(*path, "driver"))
        unknown_keys(table.driver_settings(), kind.settings_type, loaded, path)
    except MissingExtraError:  # as on a developer's machine, which needs no library of production
        return
    except UnknownNameError as error:
        yield error


def _unreadable(configuration: Configuration) -> Iterator[str]:
    from capa_core.blocks.configuration import ConfigurationFeature

    if not configuration.features[ConfigurationFeature.INSPECT]:
        return
    try:
        scopes = [group.scope for group in configuration.inspect() if group.items is None]
    except CapaError as error:
        yield str(error)
        return
    for scope in scopes:
        try:
            configuration.get(application=scope.application, group=scope.group, label=scope.label)
        except CapaError as error:
            yield str(error)
