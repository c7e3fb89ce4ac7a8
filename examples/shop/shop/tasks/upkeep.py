"""Maintenance tasks of the shop; beat calls them."""

import time

from celery import group, shared_task, signature

from shop import remote_config, settings
from shop.orders import stats, store
from shop.orders.status import Status
from shop.storage import write

WEEK_S = 7 * 24 * 3600


@shared_task
def refresh_bestsellers() -> int:
    return stats.recount_bestsellers()


@shared_task
def expire_forgotten_orders() -> int:
    """Expire orders without activity; return how many."""
    minutes = remote_config.number("orders.expire_after_minutes", 30)
    forgotten = store.untouched_since(time.time() - minutes * 60)
    group([expiry(order_id) for order_id in forgotten]).apply_async()
    return len(forgotten)


@shared_task
def expire_order(order_id: str) -> bool:
    return store.move(order_id, Status.EXPIRED)


def expiry(order_id: str):
    """Return the signature that expires an order and then puts its goods back on the shelf."""
    expire = expire_order.si(order_id)
    # By name: the release task belongs to the warehouse team.
    expire.link(signature("shop.stock.release", args=(order_id,), immutable=True))
    return expire


@shared_task(ignore_result=True)
def forget_old_runs() -> None:
    with write(settings.current().orders_database) as db:
        db.execute("DELETE FROM task_runs WHERE started_at < ?", (time.time() - WEEK_S,))
