"""A copy of the shop: its folders, its commands, its HTTP interface and its final figures."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.demo.fleet import DemoError, free_port

ORIGINAL = Path(__file__).resolve().parent.parent / "shop"
BIN = Path(sys.executable).parent
NOT_CODE = ("__pycache__", ".pytest_cache", ".ruff_cache", ".capa", ".capa-migrate", "data")


@dataclass(frozen=True, slots=True)
class Books:
    """Final figures of the shop, from its databases."""

    done: int
    open: int
    parcels: int
    retried: int
    repeated: int
    sold: int
    shipped: int


class Shop:
    """The copy in *work*; data and logs are outside the folder of the code."""

    def __init__(self, work: Path) -> None:
        """Copy the shop and choose ports."""
        self.code = work / "shop"
        self.data = work / "data"
        shutil.copytree(ORIGINAL, self.code, ignore=shutil.ignore_patterns(*NOT_CODE))
        self._ports = {"catalog": free_port(), "orders": free_port()}

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment of the shop's processes: that of this process, the shop's settings and *more*."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CAPA_")}
        return kept | {
            "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SHOP_DATA": str(self.data),
            "CATALOG_PORT": str(self._ports["catalog"]),
            "ORDERS_PORT": str(self._ports["orders"]),
            "CATALOG_URL": self.url("catalog"),
            "ORDERS_URL": self.url("orders"),
            **(more or {}),
        }

    def run(self, *command: str, environment: Mapping[str, str], allow: tuple[int, ...] = (0,)) -> str:
        """Run *command* to its end in the copy and return its output.

        Raises:
            DemoError: It ended with a code that is not in *allow*, or took more than two minutes.
        """
        try:
            done = subprocess.run(
                command,
                cwd=self.code,
                env=dict(environment),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise DemoError(f"`{' '.join(command)}` took more than two minutes") from error
        if done.returncode not in allow:
            raise DemoError(
                f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def digest(self) -> dict[str, str]:
        """Return a hash for each file of the code."""
        return {
            str(path.relative_to(self.code)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.code.rglob("*"))
            if path.is_file() and not set(NOT_CODE) & set(path.relative_to(self.code).parts)
        }

    def url(self, service: str) -> str:
        """Return the address of one of the two services."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def answers(self, service: str) -> bool:
        """Return whether a service answers."""
        try:
            return bool(self.request(service, "/healthz")["service"] == service)
        except (urllib.error.URLError, ConnectionError):
            return False

    def request(self, service: str, path: str, body: object = None) -> Any:
        """Send a request to a service and return its JSON."""
        data = None if body is None else json.dumps(body).encode()
        message = urllib.request.Request(
            self.url(service) + path, data=data, headers={"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(message, timeout=5) as answer:
            return json.load(answer)

    def discount(self) -> int:
        """Return the discount in percent in a quote of now."""
        quote = self.request("catalog", "/quote", {"lines": [{"sku": "pot-1l", "quantity": 2}]})
        return int(quote["discount_percent"])

    def set_discount(self, percent: int) -> None:
        """Edit the configuration file as an operator would."""
        path = self.code / "config" / "application.properties"
        text = re.sub(r"(?m)^(pricing\.discount_percent = ).*$", rf"\g<1>{percent}", path.read_text("utf-8"))
        path.write_text(text, "utf-8")

    def counts(self) -> dict[str, int]:
        """Return the number of orders by status."""
        return dict(self._query("orders", "SELECT status, COUNT(*) FROM orders GROUP BY status"))

    def workers(self) -> int:
        """Return how many workers have run a task."""
        return self._number("orders", "SELECT COUNT(DISTINCT worker) FROM task_runs")

    def books(self, stock_before: int) -> Books:
        """Return the final figures, each counted in the shop's own databases."""
        counts = self.counts()
        tasks, tries, runs = self._query(
            "orders",
            "SELECT COUNT(DISTINCT task_id), COUNT(DISTINCT task_id || '#' || retries), COUNT(*) FROM task_runs",
        )[0]
        return Books(
            done=counts.get("done", 0),
            open=sum(counts.values()) - counts.get("done", 0),
            parcels=self._number("orders", "SELECT COUNT(*) FROM parcels"),
            retried=tries - tasks,
            repeated=runs - tries,
            sold=self._number("orders", "SELECT SUM(quantity) FROM order_lines"),
            shipped=stock_before - self.stock(),
        )

    def stock(self) -> int:
        """Return how many goods are on the shelf."""
        return self._number("catalog", "SELECT SUM(stock) FROM products")

    def _number(self, service: str, query: str) -> int:
        return int(self._query(service, query)[0][0] or 0)

    def _query(self, service: str, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.data / f"{service}.db", timeout=30)) as database:
            return database.execute(query).fetchall()
