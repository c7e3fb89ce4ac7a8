"""A RabbitMQ of one node, with quorum queues."""

from reliability.engine import Engine, start_again
from servers.rabbitmq import PROGRAM, RabbitServer

ENGINE = Engine(
    title="RabbitMQ",
    conditions=(
        "one node, quorum queues, publisher confirms; its list of queues is on the disk before the first fault, "
        "as after an orderly restart; after a full disk it is killed and started, since its queues have stopped; "
        "component: `heartbeat_s = 1`, `timeout_s = 2`"
    ),
    settings=lambda port, _folder: {"url": f"amqp://127.0.0.1:{port}", "heartbeat_s": 1, "timeout_s": 2},
    program=PROGRAM,
    celery_url="amqp://127.0.0.1:{port}//",
    started=RabbitServer.within,
    settled=RabbitServer.write_list_of_queues,
    freed=start_again,
    disk_mb=400,
    unseen_s=0.1,
)
