"""The table of results: scaled figures, the ratio, the bar, and whether it is reached."""

from collections.abc import Sequence

from benchmarks.measure import Bar, Row, Unit

HEADINGS = ("work", "peer", "peer's", "Capa's", "ratio", "bar", "")
SCALES: dict[Unit, list[tuple[float, str]]] = {
    "s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
    "B": [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")],
}


def render(rows: Sequence[Row]) -> str:
    """Return the table, with the notes of the rows below it."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines.insert(1, "  ".join("─" * width for width in widths))
    notes = [f"  {row.work}: {row.note}" for row in rows if row.note]
    return "\n".join(line.rstrip() for line in [*lines, *([""] if notes else []), *notes])


def scaled(value: float, unit: Unit) -> str:
    """Return *value* with three significant digits in the largest unit that keeps it above one."""
    if unit == "/s":
        return f"{value:,.0f}/s"
    factor, name = next(
        ((factor, name) for factor, name in SCALES[unit] if abs(value) >= factor), SCALES[unit][-1]
    )
    return f"{value / factor:.3g} {name}"


def _cells(row: Row) -> tuple[str, ...]:
    peer, ours = (scaled(value, row.unit) for value in (row.figures.peer, row.figures.ours))
    return row.work, row.peer, peer, ours, f"{row.ratio:.2f} ×", _bar(row.bar, row.unit), _verdict(row)


def _bar(bar: Bar, unit: Unit) -> str:
    sign = "≥" if bar.at_least else "≤"
    if bar.of == "ratio":
        return f"{sign} {bar.limit:g} ×"
    return f"{sign} {'+' if bar.of == 'difference' else ''}{scaled(bar.limit, unit)}"


def _verdict(row: Row) -> str:
    return "reached" if row.met else "missed"
