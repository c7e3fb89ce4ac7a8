"""The databases: one SQLite file for each service."""

from shop.storage.database import read, write
from shop.storage.schema import CATALOG, ORDERS, create

__all__ = ["CATALOG", "ORDERS", "create", "read", "write"]
