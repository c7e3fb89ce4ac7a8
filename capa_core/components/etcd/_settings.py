"""Settings that all components on etcd share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from capa_core.secret import Secret


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class EtcdSettings(BaseModel):
    """The members of a cluster, and the prefix of the keys.

    Attributes:
        url: The client address of a member, or of several: the first that can be reached answers.
        user: The user, where the cluster asks for one.
        password: The password of *user*.
        verify: Whether to check the certificates of https addresses, or the path of a file with the trusted ones.
        timeout_s: Seconds for one request.
        prefix: What the keys of the component begin with.
        max_request_bytes: The `--max-request-bytes` of the cluster.
        max_txn_ops: The `--max-txn-ops` of the cluster.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        default=("http://localhost:2379",), min_length=1, repr=False
    )
    user: str = ""
    password: Secret = Secret("")
    verify: bool | str = True
    timeout_s: float = Field(default=5.0, gt=0)
    prefix: str = "capa/"
    max_request_bytes: int = Field(default=1_572_864, gt=65_536)
    max_txn_ops: int = Field(default=128, gt=1)
