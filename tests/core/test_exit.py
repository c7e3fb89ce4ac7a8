"""The end of a program, normal or interrupted: no warning, no hanging thread and no lost message."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from docs.pages import blocks

from capa_core import Runtime

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
    """A function that returns the program's command line in a folder of its own, with all Python warnings shown."""
    tables = "".join(
        f'[{block}.default]\n[{block}.redis]\ndriver = "redis"\nurl = "{redis_url}"\n'
        for block in ("state", "pubsub", "lock")
    )
    (tmp_path / "capa.toml").write_text(f"embedded = true\n{tables}")
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    monkeypatch.chdir(tmp_path)
    return lambda *words: [sys.executable, "-X", "dev", "program.py", *words]


@pytest.mark.server("redis")
@pytest.mark.parametrize("how", ["close", "leave"])
def test_a_program_ends_without_warnings(how, command):
    done = subprocess.run(command(how), capture_output=True, text=True, timeout=30)

    assert (0, "ready\n", "") == (done.returncode, done.stdout, done.stderr)


@pytest.mark.server("redis")
def test_an_interrupt_ends_a_program_with_subscriptions_at_once(command):
    program = subprocess.Popen(
        command("stay", "wait"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "ready\n" == program.stdout.readline()
    program.send_signal(signal.SIGINT)
    try:
        _, errors = program.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        program.send_signal(signal.SIGABRT)  # with -X dev it prints where it hangs
        pytest.fail(program.communicate()[1])

    assert -signal.SIGINT == program.returncode
    assert "KeyboardInterrupt" == errors.splitlines()[-1]
    assert "Warning" not in errors


WORK = """
import os, sys, threading, time
from capa_core import default_runtime

published, begun = threading.Event(), threading.Event()

def handle(message):
    published.wait()
    print("begun", flush=True)
    begun.set()
    time.sleep(float(message.data))
    print("done", flush=True)

pubsub = default_runtime().pubsub()
pubsub.subscribe("work", handle, group="g")
for seconds in sys.argv[2:]:
    pubsub.publish("work", seconds)
published.set()
if sys.argv[1] == "fork" and os.fork() == 0:
    sys.exit(0)
begun.wait()
if sys.argv[1] != "end":
    threading.Event().wait()
"""


@pytest.fixture
def worker(tmp_path):
    """A function that starts a program whose handler sleeps for the seconds in its messages, once the first runs."""
    (tmp_path / "capa.toml").write_text("drain_s = 3\n")
    (tmp_path / "work.py").write_text(WORK)
    started = []

    def start(*words):
        command = [sys.executable, "-u", "work.py", *words]
        program = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(program)
        assert "begun\n" == program.stdout.readline()
        return program

    yield start
    for program in started:
        program.kill()
        program.communicate()


def left_in(folder):
    with Runtime(start=folder, environ={}) as runtime:
        return runtime.pubsub().depth("work", "g")


def test_an_interrupt_waits_for_the_running_handler_and_starts_no_other(worker, tmp_path):
    program = worker("wait", "1", "1")
    program.send_signal(signal.SIGINT)
    out, errors = program.communicate(timeout=30)

    assert ("done\n", "KeyboardInterrupt") == (out, errors.splitlines()[-1])
    assert 1 == left_in(tmp_path)


def test_the_end_of_a_program_waits_for_the_running_handler(worker, tmp_path):
    out, errors = worker("end", "1").communicate(timeout=30)

    assert ("done\n", "", 0) == (out, errors, left_in(tmp_path))


def test_a_handler_that_takes_too_long_is_abandoned_and_its_message_redelivered(worker, tmp_path):
    started = time.monotonic()
    out, errors = worker("end", "600").communicate(timeout=40)

    assert ("", True) == (out, "comes again" in errors)
    assert 3 <= time.monotonic() - started
    with Runtime(start=tmp_path, environ={}) as runtime:
        assert ["600"] == [message.text for message in runtime.pubsub().consumer("work", "g").receive()]


def test_a_second_interrupt_ends_the_wait(worker, monkeypatch):
    monkeypatch.setenv("CAPA_DRAIN_S", "600")
    program = worker("wait", "600")
    while program.poll() is None:  # the second may come before the wait begins, then a third ends it
        program.send_signal(signal.SIGINT)
        time.sleep(0.5)

    assert -signal.SIGINT == program.returncode


def test_a_forked_child_that_ends_leaves_the_work_to_its_parent(worker, tmp_path):
    program = worker("fork", "1", "0")
    assert ["done\n", "begun\n", "done\n"] == [program.stdout.readline() for _ in range(3)]
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=30)

    assert 0 == left_in(tmp_path)


SCHEDULED = """
from datetime import UTC, datetime
from capa_core import default_runtime

schedule = default_runtime().schedule()

@schedule.job("k", at=datetime(2020, 1, 1, tzinfo=UTC))
def work(run):
    print("begun", flush=True)
    run.stop.wait()
    print("done", flush=True)
"""
GUIDE = Path(__file__).parents[2] / "docs/how-to/run-jobs.md"


def test_a_program_of_jobs_ends_in_order_by_sigterm_as_its_guide_says(tmp_path, monkeypatch):
    (waiting,) = (block.text for block in blocks(GUIDE) if "SIGTERM" in block.text)
    (tmp_path / "jobs.py").write_text(SCHEDULED + waiting)
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen([sys.executable, "jobs.py"], stdout=subprocess.PIPE, text=True) as program:
        assert "begun\n" == program.stdout.readline()
        program.terminate()
        assert "done\n" == program.stdout.read()
    with Runtime() as runtime:
        (run,) = runtime.schedule().history("k")

    assert (0, "succeeded") == (program.returncode, run.outcome)
