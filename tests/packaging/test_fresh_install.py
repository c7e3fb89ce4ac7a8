"""The wheel, installed with the dependencies of the core only: no engine's library, no legacy SDK."""

import subprocess

import pytest

ENGINES_AND_SDKS = ["redis", "pika", "kazoo", "boto3", "celery", "requests", "libcst", "pytest"]


@pytest.mark.timeout(240)
def test_no_library_of_an_engine_or_sdk_is_a_dependency(fresh_python):
    code = f"""
import importlib.util
print([name for name in {ENGINES_AND_SDKS} if importlib.util.find_spec(name)])
"""

    assert "[]\n" == _run(fresh_python, code)


@pytest.mark.timeout(240)
def test_the_core_imports(fresh_python):
    assert "" == _run(fresh_python, "import capa_core")


@pytest.mark.timeout(240)
def test_the_plain_folders_are_not_importable(fresh_python):
    code = """
import importlib.util
print([name for name in ("adapters", "codemods", "migration") if importlib.util.find_spec(name)])
"""

    assert "[]\n" == _run(fresh_python, code)


def _run(python, code):
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, cwd="/")
    return done.stdout + done.stderr
