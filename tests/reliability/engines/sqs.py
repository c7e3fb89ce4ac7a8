"""SQS as ElasticMQ has it: an independent implementation, not Amazon's."""

from reliability.engine import Engine, start_again
from servers.elasticmq import PROGRAM, ElasticServer

ENGINE = Engine(
    title="SQS on ElasticMQ",
    conditions=(
        "ElasticMQ, an independent implementation of SQS, with queues and messages on the disk, each write awaited; "
        "after a full disk it is killed and started, since its database has closed; component: `timeout_s = 2`, "
        "`poll_s = 1`, `settle_s = 0.1`"
    ),
    settings=lambda port, _folder: {
        "endpoint_url": f"http://127.0.0.1:{port}",
        "region": "us-east-1",
        "access_key_id": "me",
        "secret_access_key": "hunter2",
        "timeout_s": 2,
        "poll_s": 1,
        "settle_s": 0.1,
    },
    program=PROGRAM,
    celery_url="sqs://me:hunter2@127.0.0.1:{port}",
    started=lambda folder: ElasticServer(folder, durable=True).serving(),
    freed=start_again,
    disk_mb=64,
)
