"""A NATS of one node, with JetStream."""

from reliability.engine import Engine, start_again
from servers.nats import PROGRAM, NatsServer

ENGINE = Engine(
    title="NATS JetStream",
    conditions=(
        "one node, `sync_interval: always`; after a full disk it is killed and started, since JetStream has stopped; "
        "component: `heartbeat_s = 0.5`, `timeout_s = 2`"
    ),
    settings=lambda port, _folder: {"url": f"nats://127.0.0.1:{port}", "heartbeat_s": 0.5, "timeout_s": 2},
    program=PROGRAM,
    started=lambda folder: NatsServer(folder).serving(),
    freed=start_again,
    disk_mb=160,
)
