"""The tables."""

import sqlite3
from pathlib import Path

CATALOG = """
CREATE TABLE IF NOT EXISTS products (
    sku TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0),
    weight_grams INTEGER NOT NULL,
    stock INTEGER NOT NULL CHECK (stock >= 0)
);
CREATE TABLE IF NOT EXISTS reservations (
    order_id TEXT NOT NULL,
    sku TEXT NOT NULL REFERENCES products (sku),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    state TEXT NOT NULL CHECK (state IN ('held', 'committed')),
    PRIMARY KEY (order_id, sku)
);
"""

ORDERS = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY,
    customer TEXT NOT NULL,
    status TEXT NOT NULL,
    total_cents INTEGER NOT NULL,
    callback_url TEXT,
    workflow_id TEXT,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_by_status ON orders (status, updated_at);
CREATE TABLE IF NOT EXISTS order_lines (
    order_id TEXT NOT NULL REFERENCES orders (id),
    sku TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    price_cents INTEGER NOT NULL,
    weight_grams INTEGER NOT NULL,
    packed_at REAL,
    PRIMARY KEY (order_id, sku)
);
CREATE TABLE IF NOT EXISTS parcels (
    order_id TEXT PRIMARY KEY REFERENCES orders (id),
    weight_grams INTEGER NOT NULL,
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    order_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    sent_at REAL,
    PRIMARY KEY (order_id, kind)
);
CREATE TABLE IF NOT EXISTS bestsellers (
    sku TEXT PRIMARY KEY,
    sold INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS task_runs (
    task_id TEXT NOT NULL,
    retries INTEGER NOT NULL,
    name TEXT NOT NULL,
    worker TEXT NOT NULL,
    started_at REAL NOT NULL,
    state TEXT,
    error TEXT
);
CREATE INDEX IF NOT EXISTS task_runs_by_task ON task_runs (task_id);
"""


def create(path: Path, schema: str) -> None:
    """Create missing tables in the database at *path*; existing ones stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(str(path), timeout=30)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(schema)
    finally:
        connection.close()
