"""`import capa_core` is cheap: a program that imports an adapter pays for it at each start."""

import os
import subprocess
import sys
from statistics import median

import pytest

HEAVY = {
    *("boto3", "botocore", "celery", "kazoo", "pika", "redis", "requests"),
    *("libcst", "pytest", "rich", "typer", "yaml"),
    *("opentelemetry.sdk", "pydantic", "pydantic_core", "pydantic_settings"),
}
# Twice the bar, since other tests and other users of the machine may run: `benchmarks/import_time.py` has
# the exact figure.
LIMIT_S = 0.050


def test_importing_the_core_imports_nothing_heavy():
    code = f"import capa_core, sys; print(sorted(set(sys.modules) & {HEAVY}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]\n" == done.stdout


@pytest.mark.quiet
def test_importing_the_core_takes_little_time(compiled):
    runs = [(_cpu_s("pass", compiled), _cpu_s("import capa_core", compiled)) for _ in range(9)]
    bare_s, importing_s = (median(column) for column in zip(*runs, strict=True))

    assert importing_s - bare_s < LIMIT_S


@pytest.fixture
def compiled(tmp_path):
    """An environment in which bytecode is found, as pip leaves it; first use compiles it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    _cpu_s("import capa_core", environment)
    return environment


def _cpu_s(code, environment):
    """CPU time, which a busy machine stretches far less than it stretches the time on the clock."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
