"""In place of `apollo_pydantic.core`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

from capa_apollo._sdk import SDK
from capa_apollo.apollo_pydantic._variables import variables
from capa_apollo.apollo_pydantic.client import ApolloClient
from capa_apollo.apollo_pydantic.logger import logger
from capa_core.shims import missing_original

try:
    from pydantic_settings import (
        BaseSettings,
        EnvSettingsSource,
        PydanticBaseSettingsSource,
        SettingsConfigDict,
    )
except ModuleNotFoundError as error:
    raise missing_original(SDK, error) from error

__all__ = ["ApolloSettings", "ApolloSettingsConfigDict", "ApolloSettingsMetadata"]

Place = tuple[str, str, str]
"""Address of the server, appId and cluster."""


class ApolloSettingsConfigDict(SettingsConfigDict, total=False):
    """The configuration of settings classes, with the place of their values."""

    config_server: object
    appid: str
    cluster: str
    secret_key: object


class ApolloSettingsMetadata:
    """The settings classes of the process, and the clients that they share."""

    def __init__(self, onerror_retry_interval: float = 10, onerror_resume: bool = True) -> None:
        del onerror_retry_interval, onerror_resume
        self._clients: dict[Place, ApolloClient] = {}
        self._registered: dict[type[ApolloSettings], tuple[ApolloClient, str]] = {}
        self._held: dict[type[ApolloSettings], dict[str, str]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def register(self, cls: type[ApolloSettings]) -> None:
        """Add a settings class.

        Raises:
            ValueError: Its `model_config` lacks `config_server`, `appid` or `cluster`.
        """
        config = cast("Mapping[str, Any]", cls.model_config)
        place = (str(config.get("config_server") or ""), config.get("appid"), config.get("cluster"))
        if not all(place) or not cls.__namespace__:
            raise ValueError(
                f"{cls.__name__}: config_server, appid and cluster must all be set in model_config"
            )
        known = cast("Place", place)
        client = self._clients.setdefault(known, ApolloClient(*known, secret_key=config.get("secret_key")))
        self._registered[cls] = (client, cls.__namespace__)

    def held(self, cls: type[ApolloSettings]) -> dict[str, str]:
        """Return the keys and texts that were read for *cls* last."""
        return self._held.get(cls, {})

    async def start(self) -> None:
        """Make all settings, and follow changes from now on. Twice does the same as once.

        Raises:
            ExceptionGroup: The errors of those that cannot be made: `ValueError` for a namespace that cannot be read,
                pydantic's `ValidationError` for values that do not fit. Nothing is followed then.
        """
        if self._loop is not None:
            return
        errors = [error for cls in list(self._registered) if (error := await self._made(cls)) is not None]
        if errors:
            raise ExceptionGroup("ApolloSettings init failed", errors)
        self._loop = asyncio.get_running_loop()
        for client in self._clients.values():
            client.namespaces.resume()
            client.namespaces.listen_to_releases(self._listener(client))

    async def stop(self) -> None:
        """Leave the settings as they are from now on. Twice does nothing."""
        self._loop = None
        for client in self._clients.values():
            client.namespaces.stop()

    async def refresh(self, cls: type[ApolloSettings]) -> None:
        """Make the settings of *cls* from what the engine has now.

        Raises:
            ValueError: *cls* is not registered, its namespace cannot be read, or its values do not fit.
        """
        if cls not in self._registered:
            raise ValueError(
                f"{cls.__name__}: set __namespace__, and the place of its values in model_config"
            )
        client, namespace = self._registered[cls]
        self.make(cls, await client.cached_config(namespace))

    def make(self, cls: type[ApolloSettings], held: dict[str, str]) -> None:
        """Make the one object of *cls* from *held*, in place; after an error it stays as it is."""
        before = self._held.get(cls)
        self._held[cls] = held
        try:
            cls.__instances__.setdefault(cls, cls())._init()
        except BaseException:
            self._held[cls] = before or {}
            raise

    async def _made(self, cls: type[ApolloSettings]) -> Exception | None:
        client, namespace = self._registered[cls]
        try:
            self.make(cls, await asyncio.to_thread(client.open, namespace))
        except Exception as error:  # noqa: BLE001 - raised by the caller, with those of other classes
            return error
        return None

    def _listener(self, client: ApolloClient) -> Any:
        def told(namespace: str, _old: dict[str, str], new: dict[str, str]) -> None:
            loop = self._loop
            for cls, place in self._registered.items():
                if place == (client, namespace) and loop is not None:
                    # There, so that the code of the loop sees all of one release.
                    loop.call_soon_threadsafe(self._remake, cls, new)

        return told

    def _remake(self, cls: type[ApolloSettings], held: dict[str, str]) -> None:
        try:
            self.make(cls, held)
        except ValueError as error:
            logger.error("%s stays as it is, its new values do not fit: %s", cls.__name__, error)


class ApolloSettings(BaseSettings):
    """Settings whose one object is made from a namespace, and made again at each change."""

    __metadata__: ClassVar[ApolloSettingsMetadata] = ApolloSettingsMetadata()
    __instances__: ClassVar[dict[type[ApolloSettings], ApolloSettings]] = {}
    __namespace__: ClassVar[str | None] = None
    __label__: ClassVar[str | None] = None

    model_config = ApolloSettingsConfigDict(
        from_attributes=True, validate_assignment=True, env_nested_delimiter="__", env_prefix="APOLLO_"
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Register a class that names a namespace."""
        if cls.__namespace__:
            cls.__metadata__.register(cls)

    def __new__(cls, **_: Any) -> Self:
        """Return the one object of the class."""
        if cls not in cls.__instances__:
            cls.__instances__[cls] = super().__new__(cls)
        return cast("Self", cls.__instances__[cls])

    def __init__(self, **_: Any) -> None:
        """Do nothing: the fields come with `start` or `refresh`."""

    def _init(self) -> None:
        super().__init__()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the keys of the namespace over the variables of the environment, as the original does."""
        del settings_cls  # this class
        if isinstance(env_settings, EnvSettingsSource):
            held = variables(cls, cls.__metadata__.held(cls))
            env_settings.env_vars = {**env_settings.env_vars, **held}
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @classmethod
    def get(cls, name: str) -> Any:
        """Return the field *name* of the first class that has it, or `None`."""
        for one in cls.__instances__.values():
            if name in type(one).model_fields:
                return getattr(one, name)
        return None

    @classmethod
    async def start(cls) -> None:
        """See `ApolloSettingsMetadata.start`: of all classes."""
        await cls.__metadata__.start()

    @classmethod
    async def stop(cls) -> None:
        """See `ApolloSettingsMetadata.stop`: of all classes."""
        await cls.__metadata__.stop()

    @classmethod
    async def refresh(cls) -> bool:
        """Make the settings of this class again, and return whether that was possible; if not, the log says why."""
        try:
            await cls.__metadata__.refresh(cls)
        except ValueError as error:
            logger.error("%s stays as it is: %s", cls.__name__, error)
            return False
        return True
