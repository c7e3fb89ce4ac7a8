"""Loopback guard: a connection to any other address is an error that names the address.

A pytest plug-in, active in every worker. It listens to Python's own audit events: nothing is patched, and no library
gets around it.
"""

import ipaddress
import sys
from typing import Any

EVENTS = frozenset({"socket.connect", "socket.sendto"})


def pytest_configure() -> None:
    sys.addaudithook(_refuse_other_addresses)


def _refuse_other_addresses(event: str, arguments: tuple[Any, ...], events: frozenset[str] = EVENTS) -> None:
    # A hook outlives the names of its module: the end of the interpreter has events too.
    if event not in events:
        return
    address = arguments[1]
    # A path or a netlink address never leaves this machine.
    if isinstance(address, tuple) and isinstance(address[0], str) and not is_loopback(address[0]):
        # Not an OSError: code under test may rightly survive one.
        raise RuntimeError(f"tests use loopback only, and this one tried to reach {address[0]}")


def is_loopback(host: str) -> bool:
    """Return whether *host* is an address of the loopback, or a name for it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"} or host.endswith(".localhost")
