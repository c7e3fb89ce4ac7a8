"""The page docs/reference/reliability.md, made from the results alone."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from reliability.bridge import BATCH
from reliability.engine import Engine, engines
from reliability.faults import FAULTS
from reliability.killed import KILLED, Killed
from reliability.matrix import Key, cells
from reliability.results import FILE, load
from reliability.sides import LEASE_S, SIDES

PAGE = FILE.with_suffix(".md")
BACK_S = LEASE_S + 2
NEVER = float("inf")
HEADS = ["fault", "client", "messages × faults", "lost", "again", "under way", "back: median", "worst", "run"]
INTRO = f"""<!-- Written by `make faults` from reliability.json: run it again to change it. -->

# Reliability

Messages that are sent and consumed while something breaks, counted. `make faults` runs all of it, `make faults
ONLY="redis broker-killed"` some; a small sample is among the tests. One producer sends, and a message counts as sent
when the engine has confirmed it. Two consumers, processes of their own, work. Every process writes what it does to a
journal, and [the judge](../../tests/reliability/judge.py), which knows nothing of Capa, counts from that alone.

| column | meaning |
|---|---|
| lost | sent, and not done within a minute after the last fault |
| again | how often a message was done again: every engine delivers at least once |
| under way | the most that may come again: what those that were hit were publishing, or had taken and not settled |
| back | the time until all that had been sent before was done; after an outage of a broker or disk, from its end |

For Capa nothing may be lost, no more may come again than was under way, and all must be back within the lease and two
seconds, here {BACK_S:g} s. **Bold** is a figure that is not so. After a "stuck" fault, something never came back."""

COLUMNS = {
    "bridge": {
        "kills": "faults",
        "sent": "sent",
        "moved": "moved",
        "lost": "lost",
        "moved twice": "duplicated",
        "keys out of order": "out of order",
        "run": "date",
    },
    "config-sync": {
        "kills": "faults",
        "keys": "keys",
        "different in the end": "different",
        "older than written last": "older",
        "run": "date",
    },
}
"""For each program, the columns and the counts that they show."""
KILLED_INTRO = f"""## Programs of Capa

[The bridge](../how-to/bridge-two-brokers.md) is killed while messages are published, and started again: to Redis, which
knows ids again, with keys; to RabbitMQ, which does not, with a state component, so that up to {BATCH} messages may be
moved twice at each kill. [`capa config sync`](../how-to/live-configuration.md#from-one-store-to-another) is killed
while both stores are written: the same keys on both sides, where they know when a key was written; keys of their own
with Apollo, which is a server of our own here."""


def page() -> str:
    """Return the page."""
    results = load()
    parts = [INTRO, _clients(), *(_of_engine(name, engine, results) for name, engine in engines().items())]
    return "\n\n".join([*parts, _of_killed(results), _circumstances(results)]) + "\n"


def _clients() -> str:
    return _table(["client", "settings"], [(side.title, side.conditions) for side in SIDES.values()])


def _of_engine(name: str, engine: Engine, results: dict[Key, dict[str, Any]]) -> str:
    rows = [_row(key, results.get(key)) for key in cells() if key.engine == name]
    return f"## {engine.title}\n\nSettings: {engine.conditions}.\n\n{_table(HEADS, rows)}"


def _row(key: Key, result: dict[str, Any] | None) -> Sequence[str]:
    head = [FAULTS[key.fault].title, SIDES[key.side].title]
    if result is None:
        return [*head, f"cannot be run: {key.reason}" if key.reason else "not run", *[""] * (len(HEADS) - 3)]
    again, under_way = result["duplicated"], result["in_flight"]
    back = [NEVER if each is None else each for each in result["recoveries"]]
    bold = (
        (lambda text, missed: f"**{text}**" if missed else text)
        if key.is_promised
        else (lambda text, _: text)
    )
    return [
        *head,
        f"{result['sent']:,} × {result['faults']}",
        bold(f"{result['lost']:,}", result["lost"] > 0),
        bold(f"{again:,}", again > under_way),
        f"{under_way:,}",
        _seconds(median(back)),
        bold(_seconds(max(back)), max(back) > BACK_S),
        result["date"],
    ]


def _of_killed(results: dict[Key, dict[str, Any]]) -> str:
    tables = [_table(["between", *columns], _of_program(name, results)) for name, columns in COLUMNS.items()]
    return "\n\n".join([KILLED_INTRO, *tables])


def _of_program(program: str, results: dict[Key, dict[str, Any]]) -> list[Sequence[str]]:
    return [_row_of_killed(each, results.get(each.key)) for each in KILLED if each.program == program]


def _row_of_killed(each: Killed, result: dict[str, Any] | None) -> Sequence[str]:
    columns = COLUMNS[each.program].values()
    if result is None:
        return [each.engines, "not run", *[""] * (len(columns) - 1)]
    texts = {name: f"{value:,}" if isinstance(value, int) else str(value) for name, value in result.items()}
    return [
        each.engines,
        *(f"**{texts[n]}**" if each.misses(n, result) else texts.get(n, "") for n in columns),
    ]


def _seconds(value: float) -> str:
    return "stuck" if value == NEVER else f"{value:.1f} s"


def _circumstances(results: dict[Key, dict[str, Any]]) -> str:
    machines = sorted({_machine(result["machine"], results) for result in results.values()})
    versions = sorted(
        {f"{name} {each}" for result in results.values() for name, each in result["versions"].items()}
    )
    return f"Run on {'; '.join(machines) or 'no machine yet'}, with {', '.join(versions) or 'nothing yet'}."


def _machine(name: str, results: dict[Key, dict[str, Any]]) -> str:
    """Return the machine, with its least and highest load when a cell began, where that is known."""
    loads = [result["load"] for result in results.values() if result["machine"] == name and "load" in result]
    return f"{name} (load {min(loads)} to {max(loads)})" if loads else name


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cells_of = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in row) + " |" for row in cells_of)
