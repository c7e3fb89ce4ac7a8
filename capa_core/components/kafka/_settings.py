"""The address of a Kafka cluster, the credentials, and the shape of new topics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from capa_core.secret import Secret

PORT = 9092
_SERVER = r"(\[[0-9A-Fa-f:.]+\]|[^\s:,/@\[\]?#]+)(:\d{1,5})?"
_ADDRESS = re.compile(rf"kafkas?://{_SERVER}(,{_SERVER})*/?")


def _address(url: str) -> str:
    if not _ADDRESS.fullmatch(url):
        raise PydanticCustomError(
            "kafka_url",
            "This is not an address of a Kafka cluster. Write kafka://host[:port][,host2[:port2]…], or kafkas://… for"
            " TLS; user and password are settings of their own",
        )
    return url


class KafkaSettings(BaseModel):
    """The address of the cluster, the credentials, and the shape of new topics.

    Attributes:
        url: `kafka://host[:port][,host2[:port2]…]`, or `kafkas://…` for TLS: some brokers, which tell of the others.
        mechanism: How `user` and `password` are proved; with `OAUTHBEARER`, `token` takes their place.
        user: The name for SASL; nothing is proved without one.
        password: Its password.
        token: `module:function` for `OAUTHBEARER`, such as Amazon's IAM: called without arguments, it returns a token
            and the time until which that is valid, in seconds since the epoch.
        ca_file: The certificates that sign those of the brokers; the system's by default.
        certificate_file: The certificate by which this client is known, with `key_file`.
        key_file: Its private key.
        key_password: The password of `key_file`.
        timeout_s: Seconds that one call may take, including connecting.
        prefix: The prefix of the names of all topics and groups.
        partitions: The number of partitions of a new topic, and so the largest number of consumers that can share it.
            Topics that exist keep theirs.
        replicas: The number of brokers that keep each partition of a new topic; the cluster's default by default.
        retention_s: Seconds after which a record of a new topic is removed, whether it was read or not; `None` leaves
            that to the cluster.
        max_record_bytes: The largest record. The cluster's `message.max.bytes` must be 28,588 above, as it is by
            default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)] = f"kafka://127.0.0.1:{PORT}"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    user: str = ""
    password: Secret | None = None
    token: str = Field(default="", pattern=r"^$|^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = None
    timeout_s: float = Field(default=5.0, gt=0)
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9.-]{0,40}$")
    partitions: int = Field(default=12, ge=1, le=1000)
    replicas: int | None = Field(default=None, ge=1)
    retention_s: float | None = Field(default=7 * 86_400.0, gt=0)
    max_record_bytes: int = Field(default=1_020_000, ge=1000, le=900_000_000)

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        """Refuse credentials of which a part is missing."""
        if self.mechanism == "OAUTHBEARER":
            _require(
                bool(self.token),
                "mechanism OAUTHBEARER needs `token`, the module:function that returns tokens",
            )
            return self
        _require(not self.token, 'with `token` goes mechanism = "OAUTHBEARER"')
        _require(bool(self.user) == bool(self.password), "`user` and `password` go together")
        return self

    @property
    def servers(self) -> str:
        """The brokers of `url`, each with its port."""
        hosts = self.url.partition("://")[2].rstrip("/").split(",")
        return ",".join(host if re.search(r":\d+$", host) else f"{host}:{PORT}" for host in hosts)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise PydanticCustomError("kafka_credentials", otherwise)
