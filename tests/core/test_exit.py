"""A program that just ends, or is interrupted, leaves no warning, no hanging thread and no message behind."""

import signal
import subprocess
import sys
import textwrap

import pytest

PROGRAM = """
import sys, threading
from capa_core import Service, default_runtime

runtime = default_runtime()
service = Service("shop")
service.register("hello", lambda call: "hello")
served = service.serve()
runtime.host(service, name="shop")
for name in ("default", "redis"):
    runtime.state(name).put("k", b"v")
    seen = threading.Event()
    runtime.pubsub(name).subscribe("t", lambda message: seen.set())
    runtime.pubsub(name).publish("t", b"x")
    assert seen.wait(10)
    held = runtime.lock(name).lock(f"held by {sys.argv[1]}").acquire()
runtime.configuration().watch(print)
runtime.invocation("shop").invoke("hello")
if "close" in sys.argv:
    served.close()
    runtime.close()
print("ready", flush=True)
if "wait" in sys.argv:
    threading.Event().wait()
"""


@pytest.fixture
def command(tmp_path, redis_url, monkeypatch):
    """Gives the command line of the program in a folder of its own, with everything that Python warns of shown."""
    tables = "".join(
        f'[{block}.default]\n[{block}.redis]\ndriver = "redis"\nurl = "{redis_url}"\n'
        for block in ("state", "pubsub", "lock")
    )
    (tmp_path / "capa.toml").write_text(tables)
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    monkeypatch.chdir(tmp_path)
    return lambda *words: [sys.executable, "-X", "dev", "program.py", *words]


@pytest.mark.server("redis")
@pytest.mark.parametrize("how", ["close", "leave"])
def test_nothing_is_warned_of_at_the_end_of_a_program(how, command):
    done = subprocess.run(command(how), capture_output=True, text=True, timeout=30)

    assert (0, "ready\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.server("redis")
def test_an_interrupt_ends_a_program_with_subscriptions_at_once(command):
    program = subprocess.Popen(
        command("stay", "wait"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "ready\n" == program.stdout.readline()
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=10)

    assert -signal.SIGINT == program.returncode
    assert "KeyboardInterrupt" == errors.splitlines()[-1]
    assert "Warning" not in errors
