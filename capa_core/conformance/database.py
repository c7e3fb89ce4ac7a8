"""Conformance of database drivers, tested over the portable type.

    class TestMyDatabase(DatabaseConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda **settings: MyDatabase(MySettings(url=my_server.url, **settings))

Declared abilities are measured in both directions: those that a driver has are tested, and the others must be
missing.
"""

from __future__ import annotations

from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._database.life import LifePromises
from capa_core.conformance._database.pools import PoolPromises
from capa_core.conformance._database.statements import StatementPromises
from capa_core.conformance._database.suite import Connect
from capa_core.conformance._database.transactions import TransactionPromises

__all__ = ["Connect", "DatabaseConformance"]


class DatabaseConformance(
    StatementPromises, TransactionPromises, PoolPromises, LifePromises, ContractPromises
):
    """The promises of `Database` and `DatabaseDriver`. Override the fixture `connect`."""
