"""A producer and a consumer written with boto3: a batch is received, and each message deleted after the work.

python -m reliability.programs.with_boto3 produce|consume PLAN
"""

import json
import math
import sys
import time
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from reliability.journal import Journal
from reliability.pace import Pace

QUEUE = "t"
AT_ONCE = 10
WAIT_S = 1
WORK_S = 0.001
REST_S = 0.05
_ERRORS = (BotoCoreError, ClientError)


def produce(plan: dict[str, Any]) -> None:
    """Send the messages of *plan*, in batches."""
    journal, pace = Journal(plan["journal"]), Pace(plan["journal"], plan["messages"], plan["rounds"])
    client = boto3.client("sqs", **plan["client"])
    url = _queue(client)
    for numbers in pace.batches():
        journal.note("tried", numbers)
        entries = [{"Id": str(number), "MessageBody": str(number)} for number in numbers]
        try:
            answer = client.send_message_batch(QueueUrl=url, Entries=entries)
        except _ERRORS:
            journal.note("failed", numbers)
            time.sleep(REST_S)
            continue
        journal.note("sent", [each["Id"] for each in answer.get("Successful", ())])
        journal.note("failed", [each["Id"] for each in answer.get("Failed", ())])


def consume(plan: dict[str, Any]) -> None:
    """Work on messages until killed."""
    journal = Journal(plan["journal"])
    client = boto3.client("sqs", **plan["client"])
    url, lease_s = _queue(client), math.ceil(plan["lease_s"])
    asked = {"MaxNumberOfMessages": AT_ONCE, "WaitTimeSeconds": WAIT_S, "VisibilityTimeout": lease_s}
    while True:
        try:
            messages = client.receive_message(QueueUrl=url, **asked).get("Messages", ())
        except _ERRORS:
            journal.note("error", ["-"])
            time.sleep(REST_S)
            continue
        if not messages:
            journal.note("idle", ["-"])
        journal.note("taken", [message["Body"] for message in messages])
        for message in messages:
            _work(journal, client, url, message)


def _work(journal: Journal, client: Any, url: str, message: dict[str, Any]) -> None:
    name = [message["Body"]]
    time.sleep(WORK_S)
    journal.note("done", name)
    try:
        client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    except _ERRORS:
        journal.note("unsettled", name)
    else:
        journal.note("settled", name)


def _queue(client: Any) -> str:
    while True:
        try:
            url: str = client.create_queue(QueueName=QUEUE)["QueueUrl"]
        except _ERRORS:
            time.sleep(REST_S)
        else:
            return url


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](json.loads(sys.argv[2]))
