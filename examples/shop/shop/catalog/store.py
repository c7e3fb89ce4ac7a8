"""Products and reservations in SQLite. Every function is safe to repeat for the same order."""

from typing import Any, Dict, Iterable, Iterator, List

from shop import settings
from shop.errors import NotFound, OutOfStock
from shop.storage import CATALOG, create, read, write

Line = Dict[str, Any]


def init() -> None:
    create(settings.current().catalog_database, CATALOG)


def put_product(sku: str, name: str, price_cents: int, weight_grams: int, stock: int) -> None:
    with write(settings.current().catalog_database) as db:
        db.execute(
            "INSERT OR REPLACE INTO products VALUES (?, ?, ?, ?, ?)",
            (sku, name, price_cents, weight_grams, stock),
        )


def product(sku: str) -> Dict[str, Any]:
    with read(settings.current().catalog_database) as db:
        row = db.execute("SELECT * FROM products WHERE sku = ?", (sku,)).fetchone()
    if row is None:
        raise NotFound("no product {}".format(sku))
    return dict(row)


def products() -> List[Dict[str, Any]]:
    with read(settings.current().catalog_database) as db:
        return [dict(row) for row in db.execute("SELECT * FROM products ORDER BY sku")]


def as_csv() -> Iterator[str]:
    """Yield the stock list line by line; it is long in the real shop."""
    yield "sku,name,stock,price_cents\n"
    for each in products():
        yield "{sku},{name},{stock},{price_cents}\n".format(**each)


def reserve(order_id: str, lines: Iterable[Line]) -> None:
    """Hold stock for an order: all of its lines or none.

    Raises OutOfStock for the first line that cannot be held, NotFound for an unknown product.
    """
    with write(settings.current().catalog_database) as db:
        if db.execute("SELECT 1 FROM reservations WHERE order_id = ?", (order_id,)).fetchone():
            return
        for line in lines:
            _hold(db, order_id, line["sku"], int(line["quantity"]))


def _hold(db, order_id: str, sku: str, quantity: int) -> None:
    row = db.execute("SELECT stock FROM products WHERE sku = ?", (sku,)).fetchone()
    if row is None:
        raise NotFound("no product {}".format(sku))
    if row["stock"] < quantity:
        raise OutOfStock(sku)
    db.execute("UPDATE products SET stock = stock - ? WHERE sku = ?", (quantity, sku))
    db.execute("INSERT INTO reservations VALUES (?, ?, ?, 'held')", (order_id, sku, quantity))


def commit(order_id: str) -> int:
    """Let the goods of an order leave; return how many lines left now."""
    with write(settings.current().catalog_database) as db:
        if not db.execute("SELECT 1 FROM reservations WHERE order_id = ?", (order_id,)).fetchone():
            raise NotFound("nothing is reserved for order {}".format(order_id))
        return db.execute(
            "UPDATE reservations SET state = 'committed' WHERE order_id = ? AND state = 'held'",
            (order_id,),
        ).rowcount


def release(order_id: str) -> int:
    """Return the goods of an order to stock; return the number of lines."""
    with write(settings.current().catalog_database) as db:
        held = db.execute(
            "SELECT sku, quantity FROM reservations WHERE order_id = ? AND state = 'held'",
            (order_id,),
        ).fetchall()
        for row in held:
            db.execute(
                "UPDATE products SET stock = stock + ? WHERE sku = ?",
                (row["quantity"], row["sku"]),
            )
        db.execute("DELETE FROM reservations WHERE order_id = ? AND state = 'held'", (order_id,))
        return len(held)


def restock(sku: str, quantity: int) -> int:
    """Add to a product's stock and return the new stock."""
    with write(settings.current().catalog_database) as db:
        changed = db.execute(
            "UPDATE products SET stock = stock + ? WHERE sku = ?", (quantity, sku)
        )
        if changed.rowcount == 0:
            raise NotFound("no product {}".format(sku))
        return db.execute("SELECT stock FROM products WHERE sku = ?", (sku,)).fetchone()["stock"]
