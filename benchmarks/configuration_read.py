"""What reading a live configuration value costs: a look-up, with no lock and no I/O."""

from functools import partial

from benchmarks.measure import Row, compare, ours_at_most
from capa_core import Runtime


def run() -> list[Row]:
    """Compare a live view, whose next read after a change sees the new value, with a plain dict."""
    values = {f"key-{number}": str(number) for number in range(100)}
    with Runtime.in_memory() as runtime:
        configuration = runtime.configuration()
        configuration.save(values, group="orders")
        view = configuration.view(group="orders")
        figures = compare(partial(values.get, "key-50"), partial(view.get, "key-50"))
    return [Row("configuration value of a live view", "dict.get", figures, ours_at_most(150e-9))]
