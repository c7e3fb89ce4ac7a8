"""Settings of the Nacos component."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from capa_core.secret import Secret


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class NacosConfigurationSettings(BaseModel):
    """The addresses of Nacos, the place of the groups, and how they are watched.

    Attributes:
        url: The address of a server with its context path, or several.
        namespace: The id of the namespace (tenant) of groups without a label; `""` for the public one.
        group: The Nacos group of groups that belong to no application.
        username: The user, where the server asks for one.
        password: The password of the user.
        verify: Whether to check the certificates of https addresses, or the path of a file with the trusted ones.
        timeout_s: Seconds for one request.
        hold_s: Seconds for which the server is asked to hold a poll.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        default=("http://localhost:8848/nacos",), min_length=1, repr=False
    )
    namespace: str = Field(default="", max_length=128)
    group: str = Field(default="DEFAULT_GROUP", min_length=1, max_length=128)
    username: str = ""
    password: Secret | None = None
    verify: bool | str = True
    timeout_s: float = Field(default=5.0, gt=0)
    hold_s: float = Field(default=30.0, ge=1, le=120)

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password belong together. Give both, or neither.")
        return self
