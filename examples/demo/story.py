"""The steps of the demonstration, in their order."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from examples.demo.console import Console
from examples.demo.engine import PUBLISHED
from examples.demo.fleet import DemoError, Fleet, read_procfile, wait_until
from examples.demo.shop import BIN, Books, Shop

ORDERS = 240
WORKERS = 2
START_WITHIN_S = 60
NEW_DISCOUNT = 20
SCAN_LINES = 12
DIFF_LINES = 24
APPLY_LINES = 2
NEXT_WITHIN_S = 45  # the next order to be done; a slow machine is no loss
LEASE_S = 10
CAPA = str(BIN / "capa")


class Story:
    """One run of the demonstration on the copy *shop* with the variables *engine*."""

    def __init__(self, console: Console, shop: Shop, engine: Mapping[str, str], logs: Path) -> None:
        """Prepare the run; nothing is started yet."""
        self._console = console
        self._shop = shop
        self._engine = engine
        self._environment = shop.environment(engine)
        self._fleet = Fleet(shop.code, self._environment, logs)
        self._before = shop.digest()
        self._stock = 0
        self._taken: list[str] = []

    def scan(self) -> None:
        """Show the scan of the legacy code."""
        self._console.step("Scan the shop: its SDKs, their call sites, and the calls that are not served")
        self._console.text(_beginning(self._capa("scan", "."), SCAN_LINES))

    def rewrite(self) -> None:
        """Show the diff and apply it."""
        self._console.step("Rewrite the imports: show the diff, then apply it")
        self._console.diff(_beginning(self._capa("migrate", "diff", ".", allow=(0, 1)), DIFF_LINES))
        self._console.text()
        applied = self._capa("migrate", "apply", ".").splitlines()
        self._console.text("\n".join(applied[-APPLY_LINES:]))
        changed = [path for path, digest in self._shop.digest().items() if self._before.get(path) != digest]
        self._console.good(
            f"{len(changed)} of {len(self._before)} files changed: import paths, patch targets, one requirement"
        )

    def test(self) -> None:
        """Run the shop's own suite on the adapters."""
        self._console.step("Run the shop's own tests, written years ago against the SDKs")
        kept = f"--basetemp={self._shop.data.parent / 'tests'}"
        command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", kept)
        self._console.command("pytest -q")
        # The suite works in a folder of its own, where there is no capa.toml: it runs on the embedded default.
        summary = self._shop.run(*command, environment=self._shop.environment()).splitlines()[-1]
        self._console.good(summary.strip("= "))

    def start(self) -> None:
        """Start the processes of the Procfile, with two workers."""
        self._console.step("Start the shop from its Procfile: two services, two workers, beat")
        for name, value in self._engine.items():
            self._console.command(f"export {name}={value}")
        self._console.text(self._capa("doctor").rstrip())
        self._shop.run(sys.executable, "-m", "shop.cli", "seed", environment=self._environment)
        self._stock = self._shop.stock()
        commands = read_procfile(self._shop.code / "Procfile", self._environment)
        for number in range(1, WORKERS + 1):
            commands[f"worker-{number}"] = [*commands["worker"], "--hostname", f"worker-{number}@%h"]
        del commands["worker"]
        for name, command in commands.items():
            pid = self._fleet.start(name, command)
            self._console.text(f"{name:9} pid {pid:<7} {' '.join(command)}")
        for service in ("catalog", "orders"):
            wait_until(partial(self._answers, service), START_WITHIN_S, f"{service} answers")
        self._console.good(f"catalog {self._shop.url('catalog')}   orders {self._shop.url('orders')}")
        # A worker that is still starting when it is killed would prove nothing.
        wait_until(self._both_workers_work, START_WITHIN_S, "both workers have run tasks")
        self._console.good(f"both workers run tasks; {len(self._taken)} orders were sent to check that")

    def _both_workers_work(self) -> bool:
        self._fleet.check()
        place = (sys.executable, "-m", "shop.cli", "place", "--count", "2")
        self._taken += self._shop.run(*place, environment=self._environment).split()
        return self._shop.workers() >= WORKERS

    def drive(self) -> None:
        """Send orders; change the configuration and kill a worker meanwhile."""
        self._console.step(f"Send {ORDERS} orders; meanwhile change the configuration and kill a worker")
        self._console.command(f"python -m shop.cli place --count {ORDERS}")
        command = (sys.executable, "-m", "shop.cli", "place", "--count", str(ORDERS), "--seed", "7")
        with self._fleet.reading("place", command) as ids:
            for sent, order_id in enumerate(ids, start=1):
                self._taken.append(order_id)
                self._console.progress(f"{sent} orders sent")
                if sent == ORDERS // 3:
                    self._change_configuration()
                elif sent == ORDERS // 2:
                    self._kill_a_worker()
        self._console.end_progress()
        self._console.good(f"{len(self._taken)} orders were taken")

    def _change_configuration(self) -> None:
        before = self._shop.discount()
        started = time.monotonic()
        self._shop.set_discount(NEW_DISCOUNT)
        wait_until(lambda: self._shop.discount() == NEW_DISCOUNT, 10, "the new discount is seen")
        took_ms = (time.monotonic() - started) * 1000
        published = PUBLISHED.get(self._engine.get("CAPA_PROFILE", ""), "")
        self._console.end_progress()
        self._console.good(
            f"config/application.properties edited{published}: discount {before} % → {NEW_DISCOUNT} %,"
            f" seen by the running catalogue after {took_ms:.0f} ms"
        )

    def _kill_a_worker(self) -> None:
        counts = self._shop.counts()
        pid = self._fleet.kill("worker-1")
        under_way = sum(counts.values()) - counts.get("done", 0)
        self._console.end_progress()
        self._console.good(
            f"kill -9 {pid}: worker-1 and its children are gone, {under_way} orders were under way"
        )

    def count(self) -> bool:
        """Wait for the last order, count in the shop's own databases, and return whether all adds up."""
        self._console.step("Wait for the last order, then count in the shop's own databases")
        self._console.text(
            f"the messages of the killed worker come back when its lease ends, {LEASE_S} s after its last renewal"
            " (30 s by default)"
        )
        sent = len(self._taken)
        done, until = -1, 0.0
        while done < sent:
            before, done = done, self._shop.counts().get("done", 0)
            if done > before:
                until = time.monotonic() + NEXT_WITHIN_S
            elif time.monotonic() > until:
                break
            self._fleet.check()
            self._console.progress(f"{done} of {sent} orders are done")
            time.sleep(0.1)
        self._console.end_progress()
        books = self._shop.books(self._stock)
        return self._show_books(books, sent)

    def _show_books(self, books: Books, sent: int) -> bool:
        self._console.text(f"orders sent          {sent:6}")
        self._console.text(f"orders done          {books.done:6}")
        self._console.text(f"orders lost          {sent - books.done:6}")
        self._console.text(f"parcels              {books.parcels:6}   one for each order")
        self._console.text(f"goods sold           {books.sold:6}   {books.shipped} left the shelf")
        self._console.text(
            f"tasks retried        {books.retried:6}   the warehouse was busy, as it is in real life"
        )
        self._console.text(f"tasks run twice      {books.repeated:6}   taken over from the killed worker")
        is_right = sent == books.done == books.parcels and books.sold == books.shipped
        verdict = f"sent {sent} = done {books.done}, lost {sent - books.done}"
        (self._console.good if is_right else self._console.bad)(verdict)
        return is_right

    def undo(self) -> None:
        """Stop the processes and undo the rewrite, byte for byte."""
        self._console.step("Undo the rewrite: every byte is restored")
        self.stop()
        self._shop.set_discount(0)
        self._console.text(self._capa("migrate", "undo", ".").rstrip())
        after = self._shop.digest()
        after.pop("capa.toml", None)
        differing = sorted(
            path for path in {*after, *self._before} if after.get(path) != self._before.get(path)
        )
        if differing:
            raise DemoError(f"not as before: {', '.join(differing)}")
        self._console.good(f"all {len(self._before)} files are as before, by SHA-256")

    def stop(self) -> None:
        """Stop all processes of the shop; a second call does nothing."""
        for name in self._fleet.stop_all():
            self._console.bad(f"{name} did not stop in time and was killed; see {self._fleet.log_of(name)}")

    def _answers(self, service: str) -> bool:
        self._fleet.check()
        return self._shop.answers(service)

    def _capa(self, *arguments: str, allow: tuple[int, ...] = (0,)) -> str:
        self._console.command(" ".join(["capa", *arguments]))
        printed = self._shop.run(CAPA, *arguments, environment=self._environment, allow=allow)
        return re.sub(r"\n{3,}", "\n\n", printed)


def _beginning(text: str, lines: int) -> str:
    all_lines = text.rstrip().splitlines()
    more = len(all_lines) - lines
    return "\n".join([*all_lines[:lines], *([f"… {more} more lines"] if more > 0 else [])])
