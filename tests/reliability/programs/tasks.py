"""A Celery application, on Celery's own back half or on Capa's, as a producer and as a worker.

PLAN=… python -m reliability.programs.tasks                              the producer
PLAN=… python -m celery -A reliability.programs.tasks worker …           a worker
"""

import json
import os
import time
from importlib import import_module

from celery.signals import worker_ready
from reliability.journal import Journal
from reliability.pace import Pace

WORK_S = 0.01
PLAN = json.loads(os.environ["PLAN"])

app = import_module(PLAN["package"]).Celery("reliability.programs.tasks", broker=PLAN["broker"])
app.conf.update(PLAN["conf"])
journal = Journal(PLAN["journal"])


@app.task(name="work", ignore_result=True)
def work(number: int) -> None:
    """Take a moment."""
    journal.note("taken", [number])
    time.sleep(WORK_S)
    journal.note("done", [number])


@worker_ready.connect
def ready(**_: object) -> None:
    """Say that the worker is there."""
    journal.note("idle", ["-"])


def produce() -> None:
    """Send the tasks of the plan."""
    for numbers in Pace(PLAN["journal"], PLAN["messages"], PLAN["rounds"]).batches():
        for number in numbers:
            journal.note("tried", [number])
            try:
                work.delay(number)
            except Exception:  # Celery's, kombu's, the client's or Capa's
                journal.note("failed", [number])
                time.sleep(WORK_S)
            else:
                journal.note("sent", [number])


if __name__ == "__main__":
    produce()
