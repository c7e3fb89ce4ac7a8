"""The addresses of NATS servers, credentials, and the options of connections."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from capa_core.secret import Secret

PREFIX = r"^[A-Za-z0-9_-]{1,40}$"
"""Characters that the names of streams, subjects and buckets may have."""
_SCHEMES = ("nats", "tls")
_SEED = re.compile(r"S[A-Z2-7]{57}")
_WAYS = ("user", "token", "nkey_seed", "credentials_file")


def _server(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address or parts.path.strip("/") or parts.query:
        raise PydanticCustomError(
            "nats_url",
            "This is not the address of a NATS server. Write nats://[user:password@]host[:port], or tls://… for TLS,"
            " and escape special characters as %XX; more servers of a cluster go into `other_servers`",
        )
    return url


class NatsSettings(BaseModel):
    """The addresses of the servers, the credentials, and the options of connections.

    Attributes:
        url: `nats://[user:password@]host[:port]`, or `tls://…` for TLS: a server without it is refused.
        other_servers: More servers of the cluster, as `url`, tried in turn when one does not answer.
        user: The user, where it is not in `url`.
        password: The password of `user`.
        token: The token, for servers that ask for one.
        nkey_seed: The seed of an NKey. It needs the package `nkeys`, as `credentials_file` does.
        credentials_file: A file with JWT and seed, as `nsc` writes it.
        tls_ca_file: The certificates that the server's is checked with; those of the system by default.
        tls_cert_file: The certificate of this client, for servers that ask for one.
        tls_key_file: The key of that certificate.
        tls_first: Whether TLS begins before the server has said a word, as its `handshake_first` requires.
        timeout_s: Seconds that one call may take, including connecting.
        heartbeat_s: Seconds between two signs of life. A connection without an answer to three of them is given up.
        abandoned_s: Seconds of silence after which the consumer of a broadcast is taken for dead.
        domain: The JetStream domain, where it is not that of the server.
        prefix: The prefix of the names of all streams and subjects.
        replicas: On how many servers of the cluster a new stream is stored; 3 survives the loss of one.
        max_message_bytes: The largest body. With up to 24 kB of attributes it must be within `max_payload` of the
            server, 1 MiB unless its configuration says otherwise.
        monitor_url: The address of the server's monitoring, such as `http://host:8222`: `capa doctor` reads there
            whether each message is on the disk before it is acknowledged, which no client is told.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_server)] = Field(default="nats://127.0.0.1:4222", repr=False)
    other_servers: tuple[str, ...] = Field(default=(), repr=False)
    user: str = ""
    password: Secret | None = None
    token: Secret | None = None
    nkey_seed: Secret | None = None
    credentials_file: Path | None = None
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_first: bool = False
    timeout_s: float = Field(default=5.0, gt=0)
    heartbeat_s: float = Field(default=2.0, ge=0.1, le=60)
    abandoned_s: float = Field(default=60.0, ge=1)
    domain: str = Field(default="", pattern=r"^[^\s.*>]*$")
    prefix: str = Field(default="capa", pattern=PREFIX)
    replicas: int = Field(default=1, ge=1, le=5)
    max_message_bytes: int = Field(default=1_024_000, ge=1024)
    monitor_url: str = Field(default="", pattern=r"^(https?://.*)?$", repr=False)

    @field_validator("other_servers")
    @classmethod
    def _check_servers(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_server, addresses))

    @field_validator("nkey_seed")
    @classmethod
    def _check_seed(cls, seed: Secret | None) -> Secret | None:
        if seed is not None and not _SEED.fullmatch(seed.reveal()):
            raise PydanticCustomError(
                "nats_credentials", "This is not the seed of an NKey, of 58 characters, the first ones SU"
            )
        return seed

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        given = [name for name in _WAYS if getattr(self, name)]
        if len(given) > 1:
            raise PydanticCustomError(
                "nats_credentials", f"{' and '.join(given)} are both given: a server takes one of them"
            )
        if bool(self.password) != bool(self.user):
            raise PydanticCustomError("nats_credentials", "`user` and `password` go together")
        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            raise PydanticCustomError("nats_credentials", "`tls_cert_file` and `tls_key_file` go together")
        return self

    @property
    def servers(self) -> tuple[str, ...]:
        """All addresses, in the order in which they are tried."""
        return (self.url, *self.other_servers)

    def options(self) -> dict[str, Any]:
        """Return the options of nats-py's `connect` that say who asks, and how the connection is encrypted.

        Raises:
            OSError: A file of certificates or credentials cannot be read, or is none.
        """
        options: dict[str, Any] = {"tls_handshake_first": self.tls_first}
        if self.user and self.password:
            options |= {"user": self.user, "password": self.password.reveal()}
        if self.token:
            options["token"] = self.token.reveal()
        if self.nkey_seed:
            options["nkeys_seed_str"] = self.nkey_seed.reveal()
        if self.credentials_file:
            self.credentials_file.open().close()  # nats-py reads it late, and in silence if the server asks for none
            options["user_credentials"] = str(self.credentials_file)
        if self.tls_ca_file or self.tls_cert_file or any(each.startswith("tls:") for each in self.servers):
            options["tls"] = self._tls()
        return options

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.tls_ca_file and str(self.tls_ca_file))
        if self.tls_cert_file and self.tls_key_file:
            context.load_cert_chain(self.tls_cert_file, self.tls_key_file)
        return context
