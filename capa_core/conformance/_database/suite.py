"""The fixtures of the suite, and what its tests share."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Protocol, Self

import pytest

from capa_core.blocks.database import Database, DatabaseDriver

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
"""A statement that never ends."""
LONG = """
WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 4000000) SELECT count(*) AS found FROM n
"""
"""A statement that takes a second or so, and returns 4,000,000."""
CUSTOMERS = "CREATE TABLE customers (id INTEGER PRIMARY KEY)"
ORDERS = """
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, status VARCHAR(40) NOT NULL, customer INTEGER REFERENCES customers (id)
)
"""
INSERT = "INSERT INTO orders (id, status) VALUES (:id, :status)"
ALL = "SELECT id, status FROM orders ORDER BY id"


class Connect(Protocol):
    """A function that opens a driver on one database, empty before the test; each call opens another on it."""

    def __call__(self, **settings: Any) -> DatabaseDriver[Any]:
        """Return a driver with *settings* of `PooledSettings`."""
        ...


class Suite(ABC):
    """The fixtures; a subclass overrides `connect`."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a `Connect`."""

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[DatabaseDriver[Any]]:
        """Yield a driver."""
        driver = connect()
        yield driver
        driver.close()

    @pytest.fixture
    def database(self, driver: DatabaseDriver[Any]) -> Iterator[Database]:
        """Yield the portable type over the driver, with tables that are empty."""
        with Database(driver, name="conformance") as database:
            make_tables(database)
            yield database


def make_tables(database: Database) -> None:
    """Make the tables of the tests."""
    with database.transaction() as transaction:
        for statement in (CUSTOMERS, ORDERS):
            transaction.execute(statement)


class Held:
    """A transaction that another thread holds until `end`, with an order of the id *ident* in it."""

    def __init__(self, database: Database, ident: int = 1) -> None:
        self._database = database
        self._ident = ident
        self._begun, self._may_end = threading.Event(), threading.Event()
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._hold)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._begun.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Commit it."""
        self._may_end.set()
        self._thread.join(30)

    def _hold(self) -> None:
        try:
            with self._database.transaction() as transaction:
                transaction.execute(INSERT, {"id": self._ident, "status": "held"})
                self._begun.set()
                assert self._may_end.wait(30)
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error
        finally:
            self._begun.set()
