"""Tasks that tell customers something."""

import time

from celery import group, shared_task
from celery.utils.log import get_task_logger
from requests import RequestException, post

from shop import remote_config, settings
from shop.errors import OutOfStock
from shop.orders import store
from shop.orders.status import Status
from shop.storage import read, write

log = get_task_logger(__name__)

AT_ONCE = 200


def queue_mail(order_id: str, kind: str) -> None:
    """Put a mail into the outbox, once for each order and kind."""
    with write(settings.current().orders_database) as db:
        db.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, NULL)", (order_id, kind))


@shared_task(name="notify.flush_outbox", ignore_result=True)
def flush_outbox() -> int:
    """Send the messages in the outbox; beat calls this every other second."""
    if not remote_config.flag("notifications.enabled", True):
        return 0
    with read(settings.current().orders_database) as db:
        waiting = db.execute(
            "SELECT order_id, kind FROM outbox WHERE sent_at IS NULL LIMIT ?", (AT_ONCE,)
        ).fetchall()
    group(send_mail.s(row["order_id"], row["kind"]) for row in waiting).apply_async()
    return len(waiting)


@shared_task(name="notify.send_mail", ignore_result=True)
def send_mail(order_id: str, kind: str) -> None:
    """Write a mail into the spool, which the mail server empties."""
    order = store.get(order_id)
    spool = settings.current().data_dir / "mail"
    spool.mkdir(parents=True, exist_ok=True)
    text = "To: {}\nSubject: your order {} is {}\n".format(order["customer"], order_id[:8], kind)
    (spool / "{}-{}.txt".format(order_id, kind)).write_text(text)
    with write(settings.current().orders_database) as db:
        db.execute(
            "UPDATE outbox SET sent_at = ? WHERE order_id = ? AND kind = ?",
            (time.time(), order_id, kind),
        )


@shared_task(
    name="notify.call_back",
    autoretry_for=(RequestException,),
    retry_backoff=True,
    retry_backoff_max=600,
    retry_kwargs={"max_retries": 5},
    ignore_result=True,
)
def call_back(order_id: str, url: str) -> int:
    """Tell a customer's own system; it may be away for a while."""
    order = store.get(order_id)
    answer = post(url, json={"order": order_id, "status": order["status"]}, timeout=5)
    answer.raise_for_status()
    return answer.status_code


@shared_task(name="notify.order_failed", ignore_result=True)
def order_failed(request, exc, traceback, order_id: str) -> None:
    """Error callback of an order: the worker calls it with the error."""
    if isinstance(exc, OutOfStock):
        store.move(order_id, Status.BACKORDERED)
        queue_mail(order_id, "delayed")
        return
    log.error("order %s failed in task %s: %r", order_id, request.id, exc)
    store.move(order_id, Status.REJECTED)
    queue_mail(order_id, "cancelled")
