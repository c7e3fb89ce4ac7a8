"""Tasks that turn reserved goods into a parcel."""

from typing import List

from celery import shared_task

from shop.orders import store
from shop.orders.status import Status
from shop.tasks import notify

BOX_GRAMS = 120


@shared_task
def pack_line(order_id: str, sku: str) -> int:
    """Pack one line and return its weight in grams."""
    return store.pack(order_id, sku)["weight_grams"]


@shared_task(acks_late=True)
def assemble_parcel(weights: List[int], order_id: str) -> int:
    """Close the box; runs when all lines are in. Returns the weight of the parcel in grams."""
    total = sum(weights) + BOX_GRAMS
    store.add_parcel(order_id, total)
    store.move(order_id, Status.PACKED)
    return total


@shared_task
def close_order(order_id: str) -> str:
    store.move(order_id, Status.DONE)
    notify.queue_mail(order_id, "shipped")
    callback_url = store.get(order_id)["callback_url"]
    if callback_url:
        notify.call_back.apply_async(args=[order_id, callback_url], countdown=1, priority=5)
    return order_id
