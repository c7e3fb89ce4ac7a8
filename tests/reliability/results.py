"""The file of results, which `make faults` writes and the page is made from."""

import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from reliability.engine import engines
from reliability.matrix import Key
from servers._program import OwnServer, Program

import capa_core

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs" / "reference" / "reliability.json"
_LIBRARIES = {
    "capa": (),
    "capa-celery": ("celery",),
    "celery": ("celery",),
    "celery-late": ("celery",),
    "pika": ("pika",),
    "confluent": ("confluent-kafka",),
    "boto3": ("boto3",),
}


def load(file: Path = FILE) -> dict[Key, dict[str, Any]]:
    """Return the results of all cells that were run."""
    if not file.exists():
        return {}
    return {Key(**result.pop("cell")): result for result in json.loads(file.read_text())}


def add(key: Key, result: dict[str, Any], file: Path = FILE) -> None:
    """Write the result of a cell, in place of an older one; runs of other cells may do the same at once."""
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "reliability.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _save(load(file) | {key: result}, file)


def _save(results: dict[Key, dict[str, Any]], file: Path) -> None:
    """Write the results, one cell a line."""
    lines = [json.dumps({"cell": key._asdict(), **results[key]}) for key in sorted(results)]
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def of_cell(key: Key) -> dict[str, Any]:
    """Return when, where and with what a cell is run now."""
    program = engines()[key.engine].program
    return circumstances((program,) if program else (), _LIBRARIES[key.side])


def circumstances(programs: Iterable[Program | OwnServer], libraries: Iterable[str] = ()) -> dict[str, Any]:
    """Return when, where, and with which servers and libraries something is run now."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "machine": f"{platform.system()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}",
        "load": round(os.getloadavg()[0]),
        "versions": {
            "capa-core": capa_core.__version__,
            **{program.name: program.version for program in programs},
            **{name: version(name) for name in libraries},
        },
    }


def _commit() -> str:
    words = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
