"""Settings that all components on ZooKeeper share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from capa_core.secret import Secret


class ZookeeperSettings(BaseModel):
    """The servers of an ensemble, and the folder of the nodes.

    Attributes:
        hosts: `host:port` of the servers, with commas between them; a path behind the last one is the root of all.
        user: The user of the scheme `digest`; `""` for none. What the component makes is then that user's alone.
        password: The password of *user*.
        tls: Whether to connect with TLS.
        ca: The path of a file with the trusted certificates; `""` for those of this machine.
        certificate: The path of the client's certificate; `""` for none.
        key: The path of the key of *certificate*.
        session_s: Seconds after which the ensemble forgets a client that is silent.
        timeout_s: Seconds for one call, connecting included.
        prefix: The node under which the component's nodes are.
        max_node_bytes: The `jute.maxbuffer` of the ensemble.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: str = Field(default="localhost:2181", min_length=1)
    user: str = ""
    password: Secret = Secret("")
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    session_s: float = Field(default=10.0, ge=1)
    timeout_s: float = Field(default=5.0, gt=0)
    prefix: str = "/capa"
    max_node_bytes: int = Field(default=1_048_575, gt=65_536)

    @field_validator("prefix")
    @classmethod
    def _is_path(cls, prefix: str) -> str:
        if not prefix.startswith("/") or prefix.endswith("/") or "//" in prefix:
            raise ValueError(f"{prefix!r} is no path of a node, such as /capa")
        return prefix
