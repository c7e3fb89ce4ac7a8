"""`capa config sync`, killed while both of its stores change, and what the stores hold in the end."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from capa_core import Runtime
from capa_core.blocks.configuration import Configuration
from capa_core.conformance._tolerance import wait_until

CAPA = Path(sys.executable).with_name("capa")
SHARED = tuple(f"shared{number}" for number in range(5))
"""Keys that are written on either side."""
_SYNC = ("config", "sync", "--component", "left", "--with-component", "right")
_TABLES = "[configuration.left]\n{}\n[configuration.right]\n{}\n[state.default]\ndriver = 'sqlite'\n"


def killed_while_both_change(
    folder: Path,
    sides: tuple[str, str],
    kills: int,
    *,
    shared: Sequence[str] = SHARED,
    begin: Mapping[str, str] | None = None,
) -> dict[str, int]:
    """Return how many keys there are in the end, how many differ, and how many are older than what was written last.

    Args:
        folder: Empty; everything is written there.
        sides: The lines of the two components in capa.toml.
        shared: Keys that are written on both sides, where the stores know when.
        begin: What is there before.
    """
    (folder / "capa.toml").write_text(_TABLES.format(*sides))
    with Runtime(start=folder) as runtime:
        stores = runtime.configuration("left"), runtime.configuration("right")
        with _Writer(stores, shared) as writer:
            for _ in range(kills):
                _kill_one(folder, stores[1])
        last = subprocess.run(
            [CAPA, *_SYNC, "--once"], cwd=folder, capture_output=True, text=True, timeout=60
        )
        assert 0 == last.returncode, last.stderr
        return _counts(*map(_values, stores), {**writer.last, **(begin or {})})


def _kill_one(folder: Path, store: Configuration) -> None:
    """Start a sync, and kill it some time after it has brought something over."""
    process = subprocess.Popen([CAPA, *_SYNC], cwd=folder, stdout=subprocess.DEVNULL)
    before = _values(store)
    try:
        wait_until(lambda: _values(store) != before)
        time.sleep(random.uniform(0.3, 1.5))
    finally:
        process.kill()
        process.wait()


def _values(store: Configuration) -> dict[str, str]:
    return {key: item.value for key, item in store.snapshot().items.items()}


def _counts(left: dict[str, str], right: dict[str, str], last: dict[str, str]) -> dict[str, int]:
    keys = left.keys() | right.keys() | last.keys()
    return {
        "keys": len(keys),
        "different": sum(left.get(key) != right.get(key) for key in keys),
        "older": sum(left.get(key) != last.get(key) for key in keys),
    }


def apollo(url: str, token: str) -> str:
    """Return the lines of a component on a server of Apollo that may be written."""
    return f'driver = "apollo"\nurl = "{url}"\napp_id = "app"\nportal = "{url}"\ntoken = "{token}"'


class _Writer:
    """Writes growing numbers to keys of both sides, each key by one writer, and knows the last of each."""

    def __init__(self, stores: tuple[Configuration, Configuration], shared: Sequence[str]) -> None:
        self.last: dict[str, str] = {}
        self._stores = stores
        self._shared = shared
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _write(self) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            side = number % 2
            key = random.choice([*self._shared, f"own{side}.{random.randrange(5)}"])
            self._stores[side].save({key: str(number)})
            self.last[key] = str(number)
            time.sleep(random.uniform(0.002, 0.02))
