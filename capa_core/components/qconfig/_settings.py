"""Settings of the QConfig component."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from capa_core.secret import Secret


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class QConfigSettings(BaseModel):
    """The addresses of QConfig's servers, and the program that they see.

    Attributes:
        url: The address of a server, or several.
        application: The code of the application whose files are read where a call names none.
        token: The token of the application.
        env: The environment, such as `prod`.
        sub_env: The part of the environment, where it has some; the server itself falls back from it.
        port: The port that the program tells the server, for its list of clients.
        verify: Whether to check the certificates of https addresses, or the path of a file with the trusted ones.
        timeout_s: Seconds for one request.
        hold_s: Seconds for which the server holds a poll at most.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        default=("http://localhost:8080",), min_length=1, repr=False
    )
    application: str = ""
    token: Secret | None = None
    env: str = ""
    sub_env: str = ""
    port: int = Field(default=0, ge=0, le=65535)
    verify: bool | str = True
    timeout_s: float = Field(default=5.0, gt=0)
    hold_s: float = Field(default=60.0, ge=1)

    @model_validator(mode="after")
    def _check_application(self) -> Self:
        if not self.application:
            raise ValueError("application is missing. Give the code that QConfig knows the application by.")
        return self

    @property
    def profile(self) -> str:
        """The environment with its part, as QConfig writes it."""
        return f"{self.env}:{self.sub_env}"
