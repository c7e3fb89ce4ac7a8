"""Keep the tests on this machine: a connection to any other address is an error that names it.

A pytest plug-in. It listens to Python's own audit events, so nothing is patched and no library gets around it.
"""

import ipaddress
import sys
from typing import Any

EVENTS = {"socket.connect", "socket.sendto"}


def pytest_configure() -> None:
    sys.addaudithook(_refuse_the_outside)


def _refuse_the_outside(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in EVENTS:
        return
    address = arguments[1]
    # A path or a netlink address stays on this machine anyway.
    if isinstance(address, tuple) and isinstance(address[0], str) and not is_here(address[0]):
        # No OSError: what is under test may rightly survive one.
        raise RuntimeError(f"tests use loopback only, and this one wanted to reach {address[0]}")


def is_here(host: str) -> bool:
    """Say whether *host* is an address of the loopback, or a name for it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"", "localhost"} or host.endswith(".localhost")
