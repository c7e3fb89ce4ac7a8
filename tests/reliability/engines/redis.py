"""A Redis that answers a write when it is on the disk."""

from reliability.engine import Engine
from servers.redis import PROGRAM, RedisServer

ENGINE = Engine(
    title="Redis",
    conditions="`appendonly yes`, `appendfsync always`; component: `timeout_s = 2`",
    settings=lambda port, _folder: {"url": f"redis://127.0.0.1:{port}/0", "timeout_s": 2},
    program=PROGRAM,
    celery_url="redis://127.0.0.1:{port}/0",
    started=lambda folder: RedisServer(folder, appendonly="yes", appendfsync="always").serving(),
    disk_mb=160,
)
