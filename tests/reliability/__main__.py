"""Run cells of the matrix, one after the other, and write the results and the page after each: `make faults`.

    python -m reliability                              all that this tree has not run yet at this scale
    python -m reliability redis broker-killed          only these; names of engines, faults and clients
    python -m reliability bridge config-sync           only these programs of Capa, killed again and again
    python -m reliability --scale 1000x5               so many messages and faults; the peers have a fifth
    python -m reliability --again                      those too that were run
    python -m reliability --page                       only write the page

Ends with 1 if Capa misses a bar.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliability import killed, matrix
from reliability.cell import Cell
from reliability.matrix import Key
from reliability.page import BACK_S, PAGE, page
from reliability.results import add, circumstances, load, of_cell

PEERS_SHARE = 5


def main(arguments: list[str]) -> int:
    """Run the cells of the command line, and return the exit code."""
    options = _options(arguments)
    missed: list[Key] = []
    if not options.page:
        missed += [key for key in options.cells if not _run_cell(key, options)]
        missed += [each.key for each in options.killed if not _run_killed(each, options)]
    PAGE.write_text(page())
    print("\n".join(f"missed: {' '.join(key)}" for key in missed))
    return int(bool(missed))


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reliability", description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", metavar="name")
    parser.add_argument("--scale", type=_scale, default=(10_000, 50), metavar="MESSAGESxFAULTS")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args(arguments)
    words = set(options.words)
    known = [*matrix.names(), sorted(killed.NAMES)]
    if unknown := sorted(words.difference(*known)):
        parser.error(f"{', '.join(unknown)}: choose from {'; '.join(', '.join(names) for names in known)}")
    options.cells = matrix.chosen(words) if not words or words - killed.NAMES else []
    options.killed = killed.chosen(words)
    return options


def _scale(text: str) -> tuple[int, int]:
    messages, _, faults = text.partition("x")
    return int(messages), int(faults)


def _run_cell(key: Key, options: argparse.Namespace) -> bool:
    """Run one cell unless that was done, and return whether it met the bars or has none."""
    messages, faults = (max(1, each // (1 if key.is_promised else PEERS_SHARE)) for each in options.scale)

    def run(folder: Path) -> dict[str, Any]:
        folder.chmod(0o755)  # PostgreSQL runs as another user
        say = lambda text: print(f"  {text}", flush=True)  # noqa: E731
        return Cell(key.engine, key.side, [key.fault] * faults, messages, folder, say=say).run()

    result = _result(key, of_cell(key), faults, options.again, run)
    return not key.is_promised or _meets(result)


def _run_killed(each: killed.Killed, options: argparse.Namespace) -> bool:
    """Kill a program so often, unless that was done, and return whether it met the bars."""
    messages, kills = options.scale
    if each.program == "config-sync":
        kills = min(kills, killed.MOST_SYNC_KILLS)
    now = circumstances(each.servers)
    run = lambda folder: {"faults": kills, **each.run(folder, messages, kills)}  # noqa: E731
    return each.meets(_result(each.key, now, kills, options.again, run))


def _result(
    key: Key, now: dict[str, Any], faults: int, again: bool, run: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """Return the result of *key*: what it was, or of a run that is written down."""
    result = load().get(key)
    if result is not None and not again and (result["commit"], result["faults"]) == (now["commit"], faults):
        return result
    start = time.monotonic()
    print(f"{' '.join(key)}: {faults} faults", flush=True)
    with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
        counts = run(Path(folder))
    add(key, now | counts)
    PAGE.write_text(page())
    print(f"  {counts} in {time.monotonic() - start:.0f} s", flush=True)
    return now | counts


def _meets(result: dict[str, Any]) -> bool:
    back = all(each is not None and each <= BACK_S for each in result["recoveries"])
    return result["lost"] == 0 and result["duplicated"] <= result["in_flight"] and back


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
