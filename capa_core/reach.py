"""Whether a server takes connections, found out in a moment and without the library of its engine."""

from __future__ import annotations

import ipaddress
import queue
import socket
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from capa_core.supervision import LoggedThread


class Server(NamedTuple):
    """The address of a server."""

    host: str
    port: int


def servers_of(address: str, port: int) -> list[Server]:
    """Return the servers in *address*, `scheme://[user:password@]host[:port][,host2…][/…]` or without a scheme.

    None of an address without a host, such as that of a socket.

    Args:
        port: Of those that name none.
    """
    hosts = address.partition("://")[2] or address
    hosts = hosts.partition("/")[0].partition("?")[0].rpartition("@")[2]
    try:
        parts = [urlsplit(f"//{one.strip()}") for one in hosts.split(",")]
        return [Server(one.hostname, one.port or port) for one in parts if one.hostname]
    except ValueError:
        return []  # the driver says what is wrong


def http_port(url: str) -> int:
    """Return the port of *url* where it names none."""
    return 443 if url.startswith("https:") else 80


def takes_connections(servers: Sequence[Server], within_s: float) -> bool:
    """Return whether one of *servers* takes a connection within *within_s* seconds; false where none is given.

    A name is resolved in a thread, which ends when the resolver does: that has no time limit of its own.
    """
    if all(_is_local(one.host) for one in servers):
        return any(_takes(one, within_s) for one in servers)
    found: queue.SimpleQueue[bool] = queue.SimpleQueue()
    for one in servers:
        LoggedThread(f"capa-reach-{one.host}", partial(_put, found, one, within_s)).start()
    try:
        return any(found.get(timeout=within_s) for _ in servers)
    except queue.Empty:
        return False


def _put(found: queue.SimpleQueue[bool], server: Server, within_s: float) -> None:
    is_taken = False
    try:
        is_taken = _takes(server, within_s)
    finally:
        found.put(is_taken)


def _takes(server: Server, within_s: float) -> bool:
    try:
        socket.create_connection(server, timeout=within_s).close()
    except (OSError, UnicodeError):  # or a name that cannot be one
        return False
    return True


def _is_local(host: str) -> bool:
    """Return whether *host* needs no resolver, and answers or refuses at once."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
