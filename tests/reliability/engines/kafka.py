"""A Kafka of one node, on which each process of a cell has a listener of its own.

Clients go where a broker tells them, so that each must be told of its own proxy.
"""

from reliability.engine import PROCESSES, Engine, start_again
from servers.kafka import PROGRAM, KafkaServer

ENGINE = Engine(
    title="Kafka",
    conditions=(
        "one node, `acks=all`, and the disk left to the operating system, as shipped: a killed broker loses nothing, "
        "a power cut may; `group.min.session.timeout.ms = 1000`, or no lease could be 2 s; 4 partitions; after a full "
        "disk it is killed and started, since it has ended; component: `timeout_s = 2`"
    ),
    settings=lambda port, _folder: {"url": f"kafka://127.0.0.1:{port}", "timeout_s": 2, "partitions": 4},
    program=PROGRAM,
    started=lambda folder: KafkaServer(folder, proxies=PROCESSES).serving(),
    proxied=lambda server, number: server.proxies[number],
    freed=start_again,
    disk_mb=160,
)
