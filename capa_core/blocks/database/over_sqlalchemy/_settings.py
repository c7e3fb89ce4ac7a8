"""The settings that the databases of all engines share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from capa_core.blocks.database.driver import LONGEST_DEADLINE_S


class PooledSettings(BaseModel):
    """The pools of connections, one for writes and one for reads, and the time of statements.

    Attributes:
        service: The logical name; filled in by the runtime.
        timeout_s: Seconds that opening a connection may take, on each host of an address; and the wait for one that is
            free.
        statement_s: Seconds that one statement may take, up to a day, unless its transaction has a deadline.
        pool_size: Connections that stay open.
        max_overflow: Connections beyond those, which are closed when they are given back.
        recycle_s: Seconds after which a connection is replaced when it is taken next.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: str = "default"
    timeout_s: float = Field(default=5.0, gt=0)
    statement_s: float = Field(default=30.0, gt=0, le=LONGEST_DEADLINE_S)
    pool_size: int = Field(default=5, ge=1)
    max_overflow: int = Field(default=10, ge=0)
    recycle_s: float = Field(default=1800.0, gt=0)
