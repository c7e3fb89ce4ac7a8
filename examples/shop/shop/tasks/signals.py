"""A record of every run of every task, and the reset of a fresh worker process."""

import time

from celery import signals, states
from celery.utils.log import get_task_logger

from shop import remote_config, settings
from shop.orders import client
from shop.storage import write

log = get_task_logger(__name__)


@signals.worker_process_init.connect
def forget_what_the_parent_opened(**kwargs):
    remote_config.reset()
    client.forget_session()


@signals.task_prerun.connect
def note_start(task_id, task, **kwargs):
    with write(settings.current().orders_database) as db:
        db.execute(
            "INSERT INTO task_runs VALUES (?, ?, ?, ?, ?, ?, NULL)",
            (
                task_id,
                task.request.retries,
                task.name,
                str(task.request.hostname),
                time.time(),
                states.STARTED,
            ),
        )


@signals.task_postrun.connect
def note_end(task_id, task, state, **kwargs):
    with write(settings.current().orders_database) as db:
        db.execute(
            "UPDATE task_runs SET state = ? WHERE task_id = ? AND retries = ?",
            (state, task_id, task.request.retries),
        )


@signals.task_failure.connect
def note_error(sender, task_id, exception, **kwargs):
    log.warning("%s[%s] failed: %r", sender.name, task_id, exception)
    with write(settings.current().orders_database) as db:
        db.execute("UPDATE task_runs SET error = ? WHERE task_id = ?", (repr(exception), task_id))
