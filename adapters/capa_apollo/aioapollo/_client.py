"""The client of `aioapollo`, which reads what an `ApolloConfig` of the same name describes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, ClassVar

from capa_apollo._namespaces import Namespaces, texts_alone
from capa_apollo._space import IfMissing, space_at


class ConfigMode(Enum):
    """The way in which the original learns of changes; here every value is live."""

    PULL = 0
    CHECKING = 1


class ApolloConfig:
    """A place of values, by a name of the program's own. Made again with the same name, it replaces the first.

    Attributes:
        configDir: The name → the arguments.
    """

    configDir: ClassVar[dict[str, dict[str, Any]]] = {}  # noqa: N815 - the original's name
    _namespaces: ClassVar[dict[str, Namespaces]] = {}
    _held: ClassVar[dict[str, dict[str, dict[str, str]]]] = {}

    def __init__(  # noqa: PLR0917 - the original's signature
        self,
        configName: str,  # noqa: N803
        serverUrl: str,  # noqa: N803
        appId: str,  # noqa: N803
        clusterName: str,  # noqa: N803
        namespaceName: str = "application",  # noqa: N803
        configMode: ConfigMode = ConfigMode.PULL,  # noqa: N803
        clientIp: str = "",  # noqa: N803
        periodTime: float = 300,  # noqa: N803
    ) -> None:
        self.configDir[configName] = {
            "serverUrl": serverUrl,
            "appId": appId,
            "clusterName": clusterName,
            "namespaceName": namespaceName,
            "configMode": configMode,
            "periodTime": periodTime,
            "clientIp": clientIp,
        }
        held = self._held[configName] = {}
        self._namespaces[configName] = Namespaces(
            lambda: space_at(serverUrl, appId, clusterName), held, texts_alone, IfMissing.RAISE
        )

    @staticmethod
    def remoteUrl(configName: str) -> str:  # noqa: N802, N803
        """Return the address that the original reads through the server's cache."""
        return _url(configName, "configfiles/json")

    @staticmethod
    def remoteUrlNoCache(configName: str) -> str:  # noqa: N802, N803
        """Return the address that the original reads past the server's cache."""
        return _url(configName, "configs")

    @staticmethod
    def getPeriodTime(configName: str) -> float:  # noqa: N802, N803
        """Return the seconds for which the original keeps values."""
        seconds: float = ApolloConfig.configDir[configName]["periodTime"]
        return seconds

    @staticmethod
    def startUp() -> None:  # noqa: N802
        """Do nothing: every value is live."""


def _url(name: str, path: str) -> str:
    one = ApolloConfig.configDir[name]
    url = f"{one['serverUrl']}/{path}/{one['appId']}/{one['clusterName']}/{one['namespaceName']}"
    return f"{url}?ip={one['clientIp']}" if one["clientIp"] else url


class ApolloClient:
    """The values of one `ApolloConfig`, which may be made later."""

    def __init__(self, configName: str = "") -> None:  # noqa: N803 - the original's name
        self._configName = configName

    async def get(self, key: str, noCache: bool = False) -> str | None:  # noqa: N803
        """Return the text at *key*, or `None`; straight from the engine if *noCache*.

        The first reading, and one from the engine, is done in a thread.

        Raises:
            KeyError: There is no `ApolloConfig` of this name.
            NotFoundError: The component has no such namespace.
            UnavailableError: The engine does not answer, and nothing was read from it before.
        """
        namespace = ApolloConfig.configDir[self._configName]["namespaceName"]
        namespaces = ApolloConfig._namespaces[self._configName]
        held = None if noCache else ApolloConfig._held[self._configName].get(namespace)
        if held is None:
            read: Callable[[str], dict[str, str]] = namespaces.read if noCache else namespaces.open
            held = await asyncio.to_thread(read, namespace)
        return held.get(key)
