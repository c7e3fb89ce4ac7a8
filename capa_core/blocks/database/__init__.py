"""Databases: a logical name stands for an engine of SQLAlchemy, with its pool, credentials, replica and deadlines."""

from capa_core.block import Block, Closing
from capa_core.blocks.database._portable import Database
from capa_core.blocks.database._transaction import Statement, Transaction
from capa_core.blocks.database.driver import (
    DatabaseDriver,
    DatabaseFeature,
    DatabaseLimits,
    PoolStatus,
)

__all__ = [
    "BLOCK",
    "Database",
    "DatabaseDriver",
    "DatabaseFeature",
    "DatabaseLimits",
    "PoolStatus",
    "Statement",
    "Transaction",
]

BLOCK = Block(
    name="database",
    portable=Database,
    driver=DatabaseDriver,
    features=DatabaseFeature,
    embedded="sqlite",
    server="postgres",
    closing=Closing.STORE,
    face=("Database",),
    libraries=("sqlalchemy",),
    extra="database",
)
