"""The embedded fallback: whether it serves the blocks without a table, and the lines to add where it does not.

It is for the desk. A program whose settings choose a profile or name a server is past it: a block that was forgotten
there would keep on one machine's disk, in silence, what several machines must share. The address of a service that
the program calls is not such a server: it keeps nothing for the program. Nor
does a collector of telemetry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from capa_core.block import Block, block_names, declaration
from capa_core.runtime._references import REFERENCE
from capa_core.runtime._registry import drivers, reach_of
from capa_core.secret import without_credentials

if TYPE_CHECKING:
    from capa_core.runtime._settings import Loaded

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class _Server(NamedTuple):
    """A table whose driver speaks to a server."""

    block: str
    name: str
    driver: str
    url: str


def no_fallback(loaded: Loaded) -> str | None:
    """Return the reason why the embedded default serves no block here; `None` where it serves those without a table."""
    embedded = loaded.settings.embedded
    if embedded is not None:
        return None if embedded else f"`embedded = false` ({loaded.origin('embedded')}) forbids the default"
    if loaded.profile is not None:
        return f"profile {loaded.profile!r} is chosen and names nothing for it"
    server = next(_servers(loaded), None)
    if server is not None:
        place = loaded.origin(server.block, server.name, "driver")
        return f"{place} names a server, and no table names this block"
    return None


def refusal(loaded: Loaded, block: str, name: str, reason: str) -> str:
    """Return the message that nothing serves *name* for *reason*, with the lines to add."""
    return (
        f"{loaded.where()}: nothing serves {block} {name!r}, because {reason}.\n"
        f"{lines_to_add(loaded, block)}\n\n{_alternative(loaded, declaration(block))}"
    )


def lines_to_add(loaded: Loaded, block: str, name: str = "default") -> str:
    """Return the lines of capa.toml that make *block* served, below a sentence."""
    verb = "Change in" if name in loaded.tables(block) else "Add to"
    return f"{verb} {loaded.file or 'capa.toml'}:\n\n{table_to_add(loaded, block, name)}"


def table_to_add(loaded: Loaded, block: str, name: str = "default") -> str:
    """Return the table that makes *block* served.

    It names a server that the settings name already, if it can serve the block; else the driver that the block
    declares for several machines, whose address is left to write, or the embedded one.
    """
    declared = declaration(block)
    if server := _server_for(loaded, declared):
        settings = _settings_like(server)
    elif offered := _offered(declared):
        first, *others = offered
        rest = f"or {', '.join(others)}; " if others else ""
        more = "".join(f"\n{key} = {json.dumps(value)}" for key, value in declared.server_settings)
        settings = f'driver = "{first}"  # {rest}with its address{more}'
    else:
        settings = f'driver = "{declared.embedded}"'
    return f"{_header(loaded, block, name)}\n{settings}"


def _alternative(loaded: Loaded, block: Block) -> str:
    if reach_of(block, block.embedded) == "network":
        return f'With driver = "{block.embedded}", each of them is called at http://<its name>.'
    own = f'driver = "{block.embedded}" each machine has data of its own.'
    return (
        f"With {own}"
        if not (_server_for(loaded, block) or _offered(block))
        else f"Or for one machine alone: with {own}"
    )


def _offered(block: Block) -> list[str]:
    """Return the drivers for servers, the declared one first, of a block that declares one; else none."""
    if block.server not in drivers(block):
        return []
    servers = (name for name in drivers(block) if reach_of(block, name) == "network")
    return sorted(servers, key=lambda name: (name != block.server, name))


def _server_for(loaded: Loaded, block: Block) -> _Server | None:
    return next((one for one in _servers(loaded) if one.driver in drivers(block)), None)


def _servers(loaded: Loaded) -> Iterator[_Server]:
    for block in sorted(block_names()):
        for name, table in loaded.tables(block).items():
            declared = declaration(block)
            driver = table.driver or declared.embedded
            keeps = declared.keeps_data and driver != declared.embedded
            if keeps and reach_of(declared, driver) == "network":
                url = table.driver_settings().get("url", "")
                yield _Server(block, name, driver, url if isinstance(url, str) else "")


def _settings_like(server: _Server) -> str:
    """Return the driver and address of *server*; its login only where that is a reference and not the secret itself."""
    written = REFERENCE.sub("", server.url).replace(":@", "@").replace("//@", "//")
    shown = server.url if written == without_credentials(written) else without_credentials(server.url)
    url = f"\nurl = {json.dumps(shown)}" if server.url else ""
    more = f"  # and the login of [{server.block}.{server.name}]" if shown != server.url else ""
    return f'driver = "{server.driver}"{url}{more}'


def _header(loaded: Loaded, block: str, name: str) -> str:
    profile = ("profiles", loaded.profile) if loaded.profile is not None else ()
    keys = (*profile, block, name)
    return f"[{'.'.join(key if _BARE_KEY.fullmatch(key) else json.dumps(key) for key in keys)}]"
