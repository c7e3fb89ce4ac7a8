"""Settings of the Apollo component."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from capa_core.secret import Secret

DEFAULT_CLUSTER = "default"


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class ApolloConfigurationSettings(BaseModel):
    """The addresses of Apollo, the client that it sees, and how it is watched.

    Attributes:
        url: The address of a config service, or several.
        meta: The address of a meta server, which names the config services; wins over *url*.
        app_id: The appId of groups that belong to no application.
        cluster: The cluster of groups without a label.
        data_center: The cluster that serves where a group has no release in its own.
        secret: The access key, of each application that *secrets* does not have.
        secrets: The access keys of applications by appId.
        client_ip: The address by which gray releases know this client; `""` for that of its connection.
        client_label: The label by which gray releases know this client.
        verify: Whether to check the certificates of https addresses, or the path of a file with the trusted ones.
        timeout_s: Seconds for one request.
        hold_s: Seconds after which a poll without an answer is sent again; more than the 60 that the server holds it.
        refresh_s: Seconds after which everything is compared with the server, also without a notification.
        java_cache: The cache folder of a Java client on this machine, read where nothing else is known; `{app_id}` in
            it stands for the appId.
        root: The folder of capa.toml, to which *java_cache* is relative; filled in by the runtime.
        portal: The address of the portal, whose OpenAPI saves, deletes and lists; without it the component only reads.
        token: The token of the OpenAPI.
        env: The environment of the portal.
        operator: The user, known to the portal, in whose name changes are made.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        default=("http://localhost:8080",), min_length=1, repr=False
    )
    meta: str = Field(default="", repr=False)
    app_id: str = ""
    cluster: str = Field(default=DEFAULT_CLUSTER, min_length=1)
    data_center: str = ""
    secret: Secret = Secret("")
    secrets: dict[str, Secret] = {}
    client_ip: str = ""
    client_label: str = ""
    verify: bool | str = True
    timeout_s: float = Field(default=5.0, gt=0)
    hold_s: float = Field(default=90.0, gt=0)
    refresh_s: float = Field(default=300.0, gt=0)
    java_cache: Path | None = None
    root: Path = Path()
    portal: str = Field(default="", repr=False)
    token: Secret = Secret("")
    env: str = "DEV"
    operator: str = "apollo"
