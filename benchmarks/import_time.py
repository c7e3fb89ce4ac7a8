"""The cost of `import capa_core` in time and memory."""

import subprocess
import sys

from benchmarks.measure import Row, bytecode_kept, command_wall_s, difference_at_most, interleave

PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"


def run() -> list[Row]:
    """Compare an empty program with one that only imports the core."""
    bare, importing = ([sys.executable, "-c", code] for code in ("pass", "import capa_core"))
    with bytecode_kept() as environment:
        command_wall_s(importing, environment=environment)
        times = interleave(
            lambda: command_wall_s(bare, environment=environment),
            lambda: command_wall_s(importing, environment=environment),
            rounds=21,
        )
    memory = interleave(lambda: _peak_bytes(PEAK), lambda: _peak_bytes(f"import capa_core; {PEAK}"), rounds=5)
    return [
        Row("import capa_core", "bare python", times, difference_at_most(25e-3)),
        Row("memory after the import", "bare python", memory, difference_at_most(15e6), unit="B"),
    ]


def _peak_bytes(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024
