"""`Connection`: kombu's own, whose transport is Capa's."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from kombu import connection as original
from kombu.connection import Connection as KombuConnection
from kombu.utils.collections import HashedSeq

from capa_core.shims import Side, current_runtime
from capa_kombu._sdk import SDK
from capa_kombu.over_pubsub import OWN_SCHEME, NamedTransport, Transport


class Connection(KombuConnection):  # type: ignore[misc] # kombu is not typed
    """A `kombu.Connection` with the same arguments, attributes and methods in front; Capa serves its channels.

    The address is never connected to: it chooses the logical name whose `legacy` addresses in capa.toml hold it, or
    that it is (`capa://orders`), else `kombu`. A transport *class* is the application's own, and serves its connection.
    """

    def __init__(  # noqa: PLR0917 - kombu's order
        self,
        hostname: Any = "localhost",
        userid: Any = None,
        password: Any = None,
        virtual_host: Any = None,
        port: Any = None,
        insist: bool = False,
        ssl: Any = False,
        transport: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Take kombu's arguments; no library of the transport that they name is needed."""
        self._written = hostname
        before = (hostname, userid, password, virtual_host, port, insist, ssl)
        try:
            super().__init__(*before, transport, *args, **kwargs)
        except ImportError:
            super().__init__(*before, transport or Transport, *args, **kwargs)
            self.transport_cls = transport or self.written_address.partition("://")[0]

    @property
    def written_address(self) -> str:
        """The first address as the application gave it; `""` if it gave the parts of one."""
        first = self._written if isinstance(self._written, str) else next(iter(self._written or ()), "")
        address = str(first).partition(";")[0]
        return address if "://" in address else ""

    def __eqhash__(self) -> Any:
        """Return what pools tell connections apart by: kombu's own connection to this address is another."""
        return HashedSeq(*super().__eqhash__(), Transport)

    def Pool(self, limit: int | None = None, **kwargs: Any) -> Any:  # noqa: N802 - kombu's name
        """Return a pool of connections like this one."""
        return ConnectionPool(self, limit, **kwargs)

    def get_transport_cls(self) -> Any:
        """Return the class of Capa's transport; with the side `legacy`, the one that the address names."""
        if self._is_legacy or _is_the_applications(self.transport_cls):
            return super().get_transport_cls()
        return NamedTransport if self.transport_cls == OWN_SCHEME else Transport

    @cached_property
    def _is_legacy(self) -> bool:
        """Whether kombu's own transport serves the connection: decided once, when it is first used."""
        from capa_core.shims.settings import adapter_settings
        from capa_kombu._settings import KombuSettings

        settings = adapter_settings(current_runtime(), SDK, KombuSettings)
        return settings.side is Side.LEGACY


def _is_the_applications(transport: Any) -> bool:
    """Return whether *transport* is a class, or the path of one, that does not come with kombu."""
    if isinstance(transport, str):
        return ("." in transport or ":" in transport) and not transport.startswith("kombu.")
    return transport is not None


class ConnectionPool(original.ConnectionPool):  # type: ignore[misc] # as above
    """kombu's pool, with connections that Capa serves."""

    def new(self) -> Any:
        """Return another connection for the pool."""
        if not hasattr(original, "PooledConnection"):  # older versions clone the connection
            return super().new()
        return _pooled_type()(self, **dict(self.connection._info(resolve=False)))


@cache
def _pooled_type() -> Any:
    """Return kombu's class of pooled connections over the class above."""
    return type("PooledConnection", (original.PooledConnection, Connection), {"__module__": __name__})
