"""A PostgreSQL as it is installed."""

from reliability.engine import Engine
from servers.postgres import PROGRAM, PostgresServer

ENGINE = Engine(
    title="PostgreSQL",
    conditions="`fsync` and `synchronous_commit` are on, as shipped; component: `timeout_s = 2`",
    settings=lambda port, _folder: {"url": f"postgresql://capa@127.0.0.1:{port}/postgres", "timeout_s": 2},
    program=PROGRAM,
    started=lambda folder: PostgresServer(folder, max_wal_size="64MB").serving(),
    disk_mb=250,
)
