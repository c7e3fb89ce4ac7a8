"""The cost of rewriting a large tree with proof of every file, compared with search, lint and LibCST."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

from benchmarks.measure import (
    QUIET,
    Row,
    bytecode_kept,
    command_wall_s,
    difference_at_most,
    interleave,
    ratio_at_most,
)
from benchmarks.tree import CAPA, cpu_s, installed, large_tree, search_for_sdks

MIGRATE = [*CAPA, "migrate"]
SAMPLE = 25


def run() -> list[Row]:
    """Copy the standard library and all installed packages, twice, and rewrite them."""
    with large_tree() as (tree, count), bytecode_kept() as environment:
        search = search_for_sdks(tree)
        return [
            *_rewrite(tree, search, environment, f"{count:,} Python files"),
            *_nothing_to_do(tree, search, environment),
            _start(environment),
            _libcst(environment),
        ]


def _rewrite(tree: Path, search: list[str], environment: dict[str, str], note: str) -> list[Row]:
    """Rewrite the tree in each round; the changes of a round are undone before the next."""

    def ours() -> float:
        shutil.rmtree(tree / ".capa-migrate", ignore_errors=True)
        took_s = cpu_s([*MIGRATE, "apply", str(tree)], environment)
        subprocess.run([*MIGRATE, "undo", str(tree)], env=environment, check=True, **QUIET)
        return took_s

    lint = [installed("ruff"), "check", "--no-cache", "--isolated", "--select", "I", str(tree)]
    summary = _summary([*MIGRATE, "check", str(tree)], environment)
    searching = interleave(lambda: cpu_s(search, environment), ours, rounds=3)
    linting = interleave(lambda: cpu_s(lint, environment), ours, rounds=3)
    return [
        Row("rewrite a tree, proven", "rg -l (CPU)", searching, ratio_at_most(9), note=f"{note}; {summary}"),
        Row("rewrite a tree, proven", "ruff --select I (CPU)", linting, ratio_at_most(1)),
    ]


def _summary(command: list[str], environment: dict[str, str]) -> str:
    """Return the summary of *command*, such as the numbers of files that would change and are proven."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return next(line for line in done.stdout.splitlines() if " proven" in line)


def _nothing_to_do(tree: Path, search: list[str], environment: dict[str, str]) -> list[Row]:
    subprocess.run([*MIGRATE, "apply", str(tree)], env=environment, check=False, **QUIET)
    time.sleep(2.1)  # the time stamp of a recently written file is not trusted
    check = [*MIGRATE, "check", str(tree)]

    def cold() -> float:
        (tree / ".capa-migrate/settled").unlink(missing_ok=True)
        return cpu_s(check, environment)

    colds = interleave(lambda: cpu_s(search, environment), cold, rounds=3)
    warms = interleave(lambda: cpu_s(search, environment), lambda: cpu_s(check, environment), rounds=5)
    return [
        Row("nothing to do, no cache", "rg -l (CPU)", colds, ratio_at_most(4)),
        Row("nothing to do, stat cache", "rg -l (CPU)", warms, ratio_at_most(1)),
    ]


def _start(environment: dict[str, str]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        for number in range(20):
            (Path(folder) / f"m{number}.py").write_text("import os\n")
            os.utime(Path(folder) / f"m{number}.py", (0, 0))
        check = [*MIGRATE, "check", folder]
        subprocess.run(check, env=environment, check=True, **QUIET)
        figures = interleave(
            lambda: command_wall_s([sys.executable, "-c", "pass"], environment=environment),
            lambda: command_wall_s(check, environment=environment),
            rounds=15,
        )
    return Row("start, nothing to do", "bare python", figures, difference_at_most(30e-3))


def _libcst(environment: dict[str, str]) -> Row:
    """Rename in modules of the standard library, made to use requests: LibCST parses and prints every one."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:SAMPLE]
    with tempfile.TemporaryDirectory() as folder:
        for module in modules:
            text = module.read_bytes()
            Path(folder, f"m_{module.name}").write_bytes(
                text + b"\n\nimport requests\nrequests.get(__name__)\n"
            )
        rename = ["--old_name", "requests.get", "--new_name", "capa_requests.get"]
        libcst = [
            sys.executable,
            "-m",
            "libcst.tool",
            "codemod",
            "rename.RenameCommand",
            *rename,
            "--no-format",
            "-j",
            "1",
        ]

        def theirs() -> float:
            copy = Path(shutil.copytree(folder, f"{folder}.copy"))
            try:
                return cpu_s([*libcst, str(copy)], environment)
            finally:
                shutil.rmtree(copy)

        figures = interleave(theirs, lambda: cpu_s([*MIGRATE, "diff", folder], environment), rounds=3)
    return Row("rewrite a sample", "libcst.tool (CPU)", figures, ratio_at_most(0.1), note=f"{SAMPLE} files")
