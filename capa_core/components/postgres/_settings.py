"""The address of a PostgreSQL database, and the options of its connections."""

from __future__ import annotations

from typing import Annotated

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

LONGEST_S = 8 * 10**12
"""The longest time from now that PostgreSQL's calendar has, in seconds."""


def _address(url: str) -> str:
    if url.partition("://")[0] in ("postgresql", "postgres"):
        try:
            if "@" in str(conninfo_to_dict(url).get("host", "")):  # the end of a password with an @ in it
                url = ""
        except ProgrammingError:  # its text may contain a part of the password
            url = ""
    else:
        url = ""
    if not url:
        raise PydanticCustomError(
            "postgres_url",
            "This is not an address of a PostgreSQL database. Write"
            " postgresql://[user:password@]host[:port]/database[?sslmode=verify-full], and escape special characters"
            " as %XX",
        )
    return url


Address = Annotated[str, AfterValidator(_address)]
"""A setting that is the address of a PostgreSQL database."""


def _schema(name: str) -> str:
    if name.startswith("pg_"):
        raise PydanticCustomError("postgres_schema", "PostgreSQL keeps names that begin with pg_ for itself")
    return name


class PostgresSettings(BaseModel):
    """The address of the database and the options of its connections.

    Attributes:
        url: `postgresql://[user:password@]host[:port][,host2[:port2]…]/database[?option=value…]`, with the options of
            libpq, such as `sslmode=verify-full`. Of several hosts the first one that accepts writes is used.
        schema_name: The schema of the tables, in up to 40 characters. The first call creates it if the user may
            do so.
        timeout_s: Seconds that one call may take, including connecting.
        max_connections: Connections of this component at the same time; one more listens while a consumer waits.
        pooler: Whether the address is that of a pooler in transaction mode, such as pgbouncer; `None` finds it out. No
            statement is prepared then, and messages and values wake those who wait in other processes within a second
            rather than at once: neither prepared statements nor LISTEN work there. Behind a pooler in session mode both
            do, with `false`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Address = Field(default="postgresql://127.0.0.1:5432/postgres", repr=False)
    schema_name: Annotated[str, AfterValidator(_schema)] = Field(
        default="capa", pattern="^[a-z_][a-z0-9_]{0,39}$"
    )
    timeout_s: float = Field(default=5.0, gt=0)
    max_connections: int = Field(default=10, ge=1)
    pooler: bool | None = None
