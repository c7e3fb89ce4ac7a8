"""Legacy addresses bound to logical names, and values that are found once for each runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from capa_core import Runtime

T = TypeVar("T")


_default_runtime: Callable[[], Runtime] | None = None


def current_runtime() -> Runtime:
    """Return the process's runtime, which is imported by the first use and not with the adapter."""
    global _default_runtime  # noqa: PLW0603 - an import statement costs more than the call, each time
    if _default_runtime is None:
        from capa_core.runtime import default_runtime

        _default_runtime = default_runtime
    return _default_runtime()


class PerRuntime(Generic[T]):
    """A value that depends on the runtime: made at the first use, and again when a test has replaced the runtime.

    Safe for many threads, which may make the value twice at the first use.
    """

    def __init__(self, make: Callable[[Runtime], T]) -> None:
        """Make the value with *make*."""
        self._make = make
        self._known: tuple[Runtime, T] | None = None

    def __call__(self) -> T:
        """Return the value of the current runtime."""
        runtime = current_runtime()
        known = self._known
        if known is None or known[0] is not runtime:
            self._known = known = (runtime, self._make(runtime))
        return known[1]


def logical_name(block: str, address: object) -> str | None:
    """Return the logical name that a legacy *address* stands for in *block*, or `None`.

    That is `jobs` for `capa://jobs`, else the name whose `legacy` addresses in capa.toml hold it, in any spelling
    and credentials. Of several addresses the first counts.
    """
    url = first_address(address)
    return current_runtime().logical_name(block, url) if url else None


def first_address(address: object) -> str:
    """Return the first of the addresses that SDKs accept as text, as a list, or as text with `;` between; else `""`."""
    if isinstance(address, list | tuple):
        address = address[0] if address else ""
    return address.partition(";")[0] if isinstance(address, str) else ""


def scheme_of(address: object) -> str:
    """Return the scheme of the first address, in lower case and without a driver behind `+`: `redis`, `amqp`."""
    return first_address(address).partition("://")[0].partition("+")[0].lower()
