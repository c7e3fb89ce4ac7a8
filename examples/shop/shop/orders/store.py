"""Orders in SQLite. Tasks may run twice, so every change here can be made twice."""

import time
from typing import Any, Dict, List, Optional

from shop import settings
from shop.errors import NotFound
from shop.orders.status import OPEN, Status
from shop.storage import ORDERS, create, read, write


def init() -> None:
    create(settings.current().orders_database, ORDERS)


def add(order_id: str, customer: str, priced: Dict[str, Any], callback_url: Optional[str]) -> None:
    now = time.time()
    with write(settings.current().orders_database) as db:
        db.execute(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, NULL, ?, ?)",
            (order_id, customer, Status.NEW, priced["total_cents"], callback_url, now, now),
        )
        db.executemany(
            "INSERT INTO order_lines VALUES (:id, :sku, :quantity, :price_cents, :weight_grams, NULL)",
            [dict(line, id=order_id) for line in priced["lines"]],
        )


def get(order_id: str) -> Dict[str, Any]:
    with read(settings.current().orders_database) as db:
        row = db.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    if row is None:
        raise NotFound("no order {}".format(order_id))
    return dict(row)


def lines(order_id: str) -> List[Dict[str, Any]]:
    query = "SELECT * FROM order_lines WHERE order_id = ? ORDER BY sku"
    with read(settings.current().orders_database) as db:
        return [dict(row) for row in db.execute(query, (order_id,))]


def move(order_id: str, status: Status) -> bool:
    """Bring an order to *status* unless it is already closed; return whether it moved."""
    marks = ", ".join("?" * len(OPEN))
    with write(settings.current().orders_database) as db:
        moved = db.execute(
            "UPDATE orders SET status = ?, updated_at = ? WHERE id = ? AND status IN ({})".format(marks),
            (status, time.time(), order_id, *OPEN),
        )
        return moved.rowcount == 1


def remember_workflow(order_id: str, workflow_id: str) -> None:
    with write(settings.current().orders_database) as db:
        db.execute("UPDATE orders SET workflow_id = ? WHERE id = ?", (workflow_id, order_id))


def pack(order_id: str, sku: str) -> Dict[str, Any]:
    """Mark a line as packed, once, and return it."""
    with write(settings.current().orders_database) as db:
        db.execute(
            "UPDATE order_lines SET packed_at = ? WHERE order_id = ? AND sku = ? AND packed_at IS NULL",
            (time.time(), order_id, sku),
        )
        row = db.execute(
            "SELECT * FROM order_lines WHERE order_id = ? AND sku = ?", (order_id, sku)
        ).fetchone()
    if row is None:
        raise NotFound("order {} has no line {}".format(order_id, sku))
    return dict(row)


def add_parcel(order_id: str, weight_grams: int) -> None:
    with write(settings.current().orders_database) as db:
        db.execute(
            "INSERT OR IGNORE INTO parcels VALUES (?, ?, ?)", (order_id, weight_grams, time.time())
        )


def counts() -> Dict[str, int]:
    with read(settings.current().orders_database) as db:
        return dict(tuple(row) for row in db.execute("SELECT status, COUNT(*) FROM orders GROUP BY status"))


def waiting_for(sku: str) -> List[str]:
    """Return the orders that wait for stock of *sku*, the oldest first."""
    query = """
        SELECT id FROM orders JOIN order_lines ON order_id = id
        WHERE status = ? AND sku = ? ORDER BY created_at
    """
    with read(settings.current().orders_database) as db:
        return [row["id"] for row in db.execute(query, (Status.BACKORDERED, sku))]


def untouched_since(moment: float) -> List[str]:
    query = "SELECT id FROM orders WHERE status IN (?, ?) AND updated_at < ?"
    with read(settings.current().orders_database) as db:
        return [row["id"] for row in db.execute(query, (Status.NEW, Status.BACKORDERED, moment))]
