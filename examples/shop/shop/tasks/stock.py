"""Tasks that move goods in the warehouse."""

from celery import shared_task
from celery.exceptions import MaxRetriesExceededError
from celery.utils.log import get_task_logger

from shop.errors import Busy, OutOfStock
from shop.orders import client, store
from shop.orders.status import Status
from shop.tasks.base import CallsOthers

log = get_task_logger(__name__)

SOONEST_S = 0.2


@shared_task(bind=True, base=CallsOthers, throws=(OutOfStock,))
def reserve(self, order_id: str) -> str:
    """Hold the goods of an order. OutOfStock ends the way of the order, see `notify.order_failed`."""
    client.reserve(order_id, store.lines(order_id))
    store.move(order_id, Status.RESERVED)
    return order_id


@shared_task(bind=True, base=CallsOthers, max_retries=40)
def commit(self, order_id: str) -> int:
    """Let the goods of an order leave, when the warehouse finds the time for it."""
    try:
        return client.commit(order_id)
    except Busy as busy:
        countdown = max(busy.retry_after, SOONEST_S) * (1 + self.request.retries)
        log.info("order %s waits %.2f s for the warehouse", order_id, countdown)
        try:
            raise self.retry(exc=busy, countdown=countdown)
        except MaxRetriesExceededError:
            log.error("order %s never got out of the warehouse", order_id)
            raise


@shared_task(base=CallsOthers, name="shop.stock.release")
def release(order_id: str) -> int:
    """Put the goods of an order back."""
    return client.release(order_id)
