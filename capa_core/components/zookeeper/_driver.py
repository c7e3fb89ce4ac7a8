"""The part that the drivers of all blocks share: the session, the folder of the nodes, and the errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kazoo.client import KazooClient

from capa_core.components.zookeeper._client import Session, name_of
from capa_core.components.zookeeper._errors import ERROR_TYPES
from capa_core.driver import Driver, SettingsT

_VERSION = re.compile(r"version: (\d+(?:\.\d+)+)")


class ZookeeperDriver(Driver[SettingsT]):
    """A driver whose data are nodes of one ensemble, which acknowledges what is on the disks of a majority."""

    error_types = ERROR_TYPES

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        given: Any = settings  # those of each block are `ZookeeperSettings`
        self.session = Session(given)
        self.root: str = given.prefix

    def path(self, key: str) -> str:
        """Return the path of the node of *key*."""
        return f"{self.root}/{name_of(key)}"

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`: the component's own client, connected; it is safe for many threads."""
        return {KazooClient: lambda: self.session.client}

    def ping(self) -> str:
        """See `Driver.ping`."""
        found = _VERSION.search(self.session.client.command(b"srvr"))
        return f"ZooKeeper {found[1] if found else '(its version is hidden)'} at {self.address()}"

    def address(self) -> str:
        """See `Driver.address`."""
        return str(getattr(self.settings, "hosts", ""))

    def close(self) -> None:
        """See `Driver.close`."""
        self.session.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self.session.forget()
