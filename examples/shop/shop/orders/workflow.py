"""The way of an order through the tasks."""

from celery import chain, chord
from celery.result import AsyncResult

from shop.orders import store
from shop.tasks import notify, packing, stock


def fulfilment(order_id: str):
    """Return the signature that takes an order out of the door.

    Reserve the goods, pack all lines side by side, weigh the parcel when the last one is in, let it
    leave the warehouse, close the order.
    """
    lines = store.lines(order_id)
    pack_all = chord(
        [packing.pack_line.si(order_id, line["sku"]) for line in lines],
        packing.assemble_parcel.s(order_id),
    )
    return chain(
        stock.reserve.si(order_id),
        pack_all,
        stock.commit.si(order_id),
        packing.close_order.si(order_id),
    )


def start(order_id: str) -> str:
    """Send an order on its way and return the id of the last task."""
    result = fulfilment(order_id).apply_async(
        link_error=notify.order_failed.s(order_id),
        headers={"order": order_id},
    )
    store.remember_workflow(order_id, result.id)
    return result.id


def progress(order_id: str) -> str:
    """Return the state of an order's last task."""
    workflow_id = store.get(order_id)["workflow_id"]
    if workflow_id is None:
        return "UNKNOWN"
    return AsyncResult(workflow_id).state
