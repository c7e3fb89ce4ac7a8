"""A process that leads a job with others, to kill and to freeze: each run adds a line when it begins, and when it ends.

python schedule_worker.py DRIVER SETTINGS JOURNAL
"""

import json
import os
import signal
import sys
import time
from importlib.metadata import entry_points

from capa_core.blocks.schedule import Schedule
from capa_core.errors import LockLostError

LEASE_S = 1.0
EVERY_S = 0.5
WORKS_S = 0.3
KEPT = 100


def open_schedule(driver, settings):
    """Return the portable type over the driver of an engine, such as `sqlite`, with *settings* as JSON."""
    (entry,) = entry_points(group="capa.schedule", name=driver)
    kind = entry.load()
    settings = json.loads(settings) | {"lease_s": LEASE_S}
    return Schedule(kind(kind.settings_type.model_validate(settings)))


def is_lost(run):
    try:
        run.check()
    except LockLostError:
        return True
    return False


def main(driver, settings, journal):
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    schedule = open_schedule(driver, settings)

    def write(kind, **line):
        line |= {"kind": kind, "pid": os.getpid(), "at": time.time()}
        os.write(descriptor, json.dumps(line).encode() + b"\n")  # in one piece: others write too

    def note(kind, run):
        due = run.scheduled_at.isoformat()
        write(kind, run=run.id, due=due, token=run.token, lost=is_lost(run))

    @schedule.job(
        "tick", every=EVERY_S, misfire="all", misfire_limit=KEPT, concurrency="allow", history_limit=KEPT
    )
    def tick(run):
        note("begin", run)
        time.sleep(WORKS_S)
        note("end", run)

    schedule.start()
    write("ready")
    signal.pause()


if __name__ == "__main__":
    main(*sys.argv[1:])
