"""A driver of databases over SQLAlchemy: all but the particulars of a dialect.

The driver of an engine is a class with the settings of its server and a few methods: where to connect, how a statement
is ended in time, and which code of an error means what.

    class MySqlDatabase(SqlDatabase[MySqlDatabaseSettings]):
        settings_type = MySqlDatabaseSettings
        features = {...}
"""

from capa_core.blocks.database.over_sqlalchemy._driver import SqlDatabase
from capa_core.blocks.database.over_sqlalchemy._settings import PooledSettings

__all__ = ["PooledSettings", "SqlDatabase"]
