"""Settings of the Redis components: where the server is, or the servers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self
from urllib.parse import unquote, urlsplit

import redis
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError
from redis.connection import parse_url

from capa_core.secret import Secret

_SENTINEL_PORT = 26379


def _address(url: str) -> str:
    try:
        redis.ConnectionPool.from_url(url).make_connection()  # it checks the options without connecting
        if urlsplit(url).scheme in ("redis", "rediss"):
            int(
                urlsplit(url).path.strip("/") or 0
            )  # redis-py reads a path that is not a number as database 0
    except (TypeError, ValueError):  # their texts may contain a part of the password
        raise PydanticCustomError(
            "redis_url",
            "This is not an address of a Redis server. Write redis://[user[:password]@]host[:port]/database,"
            " and escape special characters in a password as %XX; with Sentinels, which stand in `sentinels`, the host"
            " is the name of their service",
        ) from None
    return url


def _sentinel(address: str) -> str:
    try:
        parts = urlsplit(f"//{address}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if not parts.hostname or parts.netloc != address or parts.username is not None or port == 0:
        raise PydanticCustomError(
            "sentinel", "This is not the address of a Sentinel. Write host or host:port"
        )
    return address


class RedisSettings(BaseModel):
    """The address of the server, or of a service behind Sentinels, or of a cluster; the options of its connections.

    Attributes:
        url: `redis://[user[:password]@]host[:port]/db`, `rediss://…` for TLS, or `unix://path?db=0`. The host is the
            name of the service where there are `sentinels`, and any node, or the configuration endpoint, of a cluster.
        sentinels: The addresses `host[:port]` of the Sentinels that know which server is the master now.
        sentinel_password: The password of the Sentinels themselves.
        cluster: Whether the server is a node of a Redis Cluster, which has database 0 alone.
        timeout_s: Seconds that one command may take, including connecting.
        prefix: The prefix of every key and channel, so that components can share a database.
        max_bulk_bytes: The server's `proto-max-bulk-len`: the largest value or message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)] = Field(default="redis://127.0.0.1:6379/0", repr=False)
    sentinels: tuple[str, ...] = ()
    sentinel_password: Secret | None = None
    cluster: bool = False
    timeout_s: float = Field(default=5.0, gt=0)
    prefix: str = "capa:"
    max_bulk_bytes: int = Field(default=512 * 1024**2, ge=1024**2)

    @field_validator("sentinels")
    @classmethod
    def _check_sentinels(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_sentinel, addresses))

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        if self.cluster and self.sentinels:
            raise PydanticCustomError(
                "redis_places", "A cluster has no Sentinels: remove `sentinels` or `cluster`"
            )
        if self.cluster and self.options().get("db"):
            raise PydanticCustomError("redis_database", "A cluster has database 0 alone: end `url` in /0")
        if (self.cluster or self.sentinels) and "path" in self.options():
            raise PydanticCustomError("redis_socket", "A socket is one server: write redis://host in `url`")
        if self.sentinels and "port" in self.options():
            raise PydanticCustomError(
                "redis_service",
                "With `sentinels`, the host in `url` is the name of a service, without a port",
            )
        return self

    def options(self) -> dict[str, Any]:
        """Return the options of a connection that stand in the address."""
        return dict(parse_url(self.url))  # type: ignore[no-untyped-call]

    def service(self) -> str:
        """Return the name of the service that the Sentinels watch: unlike a host, with its capital letters."""
        return unquote(urlsplit(self.url).netloc.rpartition("@")[2])

    def sentinel_addresses(self) -> Sequence[tuple[str, int]]:
        """Return host and port of each Sentinel."""
        parts = [urlsplit(f"//{address}") for address in self.sentinels]
        return [(part.hostname or "", part.port or _SENTINEL_PORT) for part in parts]
