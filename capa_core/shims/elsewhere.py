"""Legacy addresses that something else serves than they say: told once in each program, as it starts.

Not imported with `capa_core.shims`: adapters import it when they first need it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from capa_core.address import is_same
from capa_core.call.loggers import named_logger
from capa_core.secret import without_credentials
from capa_core.shims._binding import PerRuntime, first_address, logical_name

if TYPE_CHECKING:
    from capa_core.call.portable import Portable

_told: PerRuntime[set[tuple[str, str]]] = PerRuntime(lambda _runtime: set())


def tell_if_elsewhere(block: str, component: Portable[Any], address: object, *, go: str) -> None:
    """Log, once for each address, that *component* serves what a legacy *address* says is at another place.

    It is a warning, unless capa.toml lists the address under `legacy`: that was meant, and is for information.
    Nothing is logged for the address that the component has, for `capa://…`, or for none.

    Args:
        address: As the SDK takes it; of several the first counts. Credentials are not shown.
        go: What goes to the component, with its verb, such as `tasks go`.
    """
    url = first_address(address)
    if (block, url) in _told():
        return
    _told().add((block, url))
    if "://" not in url or url.startswith("capa://") or _is_at(component, url):
        return
    shown = without_credentials(url)
    logger = named_logger(f"capa.{block}")
    if logical_name(block, url) is not None:
        logger.info("%s to %s, which serves %s by its `legacy` line", go, component.place, shown)
        return
    logger.warning(
        "%s to %s, not to %s. Name the component that is to serve this address in capa.toml, and list the address"
        ' there: legacy = ["%s"]',
        go,
        component.place,
        shown,
        shown,
    )


def _is_at(component: Portable[Any], url: str) -> bool:
    return any(is_same(url, address) for address in component.address.split(", "))
