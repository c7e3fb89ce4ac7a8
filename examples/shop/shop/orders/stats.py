"""Figures about orders."""

from typing import Any, Dict, List

from shop import settings
from shop.orders.status import Status
from shop.storage import read, write


def recount_bestsellers() -> int:
    """Count the sold products again and return their number."""
    with write(settings.current().orders_database) as db:
        db.execute("DELETE FROM bestsellers")
        return db.execute(
            """
            INSERT INTO bestsellers
            SELECT sku, SUM(quantity) FROM order_lines JOIN orders ON orders.id = order_id
            WHERE status = ? GROUP BY sku
            """,
            (Status.DONE,),
        ).rowcount


def bestsellers(limit: int) -> List[Dict[str, Any]]:
    query = "SELECT sku, sold FROM bestsellers ORDER BY sold DESC, sku LIMIT ?"
    with read(settings.current().orders_database) as db:
        return [dict(row) for row in db.execute(query, (limit,))]


def runs() -> Dict[str, int]:
    """Return how many tasks ran, how often one was retried, and how often one came twice."""
    query = """
        SELECT COUNT(*) AS runs,
               COUNT(DISTINCT task_id) AS tasks,
               COUNT(DISTINCT task_id || '#' || retries) AS tries
        FROM task_runs
    """
    with read(settings.current().orders_database) as db:
        row = db.execute(query).fetchone()
    return {
        "tasks": row["tasks"],
        "retried": row["tries"] - row["tasks"],
        "repeated": row["runs"] - row["tries"],
    }
