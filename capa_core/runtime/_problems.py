"""The errors that programs get from settings and files although every component answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from capa_core.errors import CapaError
from capa_core.runtime._addresses_index import AddressIndex
from capa_core.runtime._layers import profile_errors

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration
    from capa_core.runtime._report import ComponentReport
    from capa_core.runtime._runtime import Runtime


def problems(runtime: Runtime, answering: Iterable[ComponentReport]) -> list[str]:
    """Return the errors of legacy addresses, required abilities, profiles, and configuration that cannot be read.

    Of profiles that are not chosen, the names of their sections and options are checked, and nothing below them.

    Args:
        answering: The components to read from.
    """
    found: list[str] = []
    for check in (lambda: AddressIndex(runtime.loaded), runtime.require):
        try:
            check()
        except CapaError as error:
            found.append(str(error))
    if runtime.loaded.file:
        found.extend(map(str, profile_errors(runtime.loaded.file)))
    groups = (row.component(runtime) for row in answering if row.block == "configuration")
    return found + [problem for one in groups for problem in _unreadable(one)]


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
