"""The production set-up of the tutorial on two machines: a worker and a beat on each, and one Redis."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from celery_fleet import PATIENCE_S

from capa_core.conformance._tolerance import wait_until

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial/first-migration.md"

PROJ = """
import os, pathlib, time
import redis
from capa_celery import Celery, chord

POD = pathlib.Path.cwd().name
noted = redis.Redis.from_url(os.environ["NOTES"])
app = Celery("proj", broker="redis://redis.old:6379/0", backend="redis://redis.old:6379/1")
app.conf.beat_schedule = {"tick": {"task": "proj.tick", "schedule": 1.0}}

@app.task
def tick():
    noted.rpush("ticks", POD)

@app.task
def square(number, pause):
    noted.rpush("begun", POD)
    time.sleep(pause)
    noted.rpush("squares", POD)
    return number * number

@app.task
def total(numbers):
    noted.rpush("totals", sum(numbers))
    return sum(numbers)

def count(pause):
    return chord([square.s(number, pause) for number in range(12)])(total.s())
"""
TOTAL = sum(number * number for number in range(12))

pytestmark = [pytest.mark.server("redis"), pytest.mark.timeout(240)]


class Pod:
    """A folder of its own, with a worker and a beat that know the others only by the server."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        folder.mkdir()
        (folder / "proj.py").write_text(PROJ)
        (folder / "capa.toml").write_text(_production_settings(redis_url))
        self._environment = {
            **os.environ,
            "CAPA_PROFILE": "prod",
            "NOTES": redis_url,
            "PYTHONWARNINGS": "ignore",
        }
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start worker and beat, each in a process group of its own."""
        for words in (["worker", "-c", "2", "-l", "INFO"], ["beat", "-l", "INFO"]):
            with (self.folder / f"{words[0]}.log").open("wb") as log:
                command = [sys.executable, "-m", "capa_celery", "-A", "proj", *words]
                self._processes.append(
                    subprocess.Popen(
                        command,
                        cwd=self.folder,
                        env=self._environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )

    def kill(self) -> None:
        """Kill all that it runs at once, children too, as a machine that loses its power."""
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def run(self, code: str) -> str:
        """Run *code* with the application, and return what it prints."""
        command = [sys.executable, "-c", f"import proj\n{code}"]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=200
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout.strip()

    @property
    def log(self) -> str:
        """All that worker and beat have logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))


def _production_settings(url: str) -> str:
    """Return the capa.toml of the tutorial, with the address of the server that the test has."""
    found = re.search(r"^```toml\n(# capa\.toml\n.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    return re.sub(r"redis://redis\.prod:6379/\d", url, found[1])


@pytest.fixture
def pods(tmp_path: Path, redis_url: str) -> Iterator[tuple[Pod, Pod]]:
    """Two pods; the first runs and its beat has sent, then the second was started."""
    first, second = Pod(tmp_path / "first", redis_url), Pod(tmp_path / "second", redis_url)
    try:
        first.start()
        _wait_until(lambda: _noted(redis_url, "ticks") != [], first)
        second.start()
        _wait_until(lambda: " ready." in second.log and "beat: Starting" in second.log, second)
        yield first, second
    finally:
        first.kill()
        second.kill()


def _wait_until(holds: Callable[[], bool], pod: Pod) -> None:
    wait_until(holds, patience_s=PATIENCE_S, told=lambda: pod.log[-4000:])


def _sent(pods: tuple[Pod, Pod]) -> int:
    """Return how often a beat has sent its task: on a busy machine, workers run in a row what was sent in turn."""
    return sum(pod.log.count("Sending due task") for pod in pods)


def _noted(url: str, name: str) -> list[str]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.lrange(name, 0, -1)


def test_two_beats_send_each_periodic_task_once(pods: tuple[Pod, Pod], redis_url: str) -> None:
    before, begun = _sent(pods), time.monotonic()
    _wait_until(lambda: _sent(pods) >= before + 10, pods[1])
    sent, passed_s = _sent(pods) - before, time.monotonic() - begun
    _wait_until(lambda: len(_noted(redis_url, "ticks")) >= before + sent, pods[1])

    assert sent <= passed_s + 2  # two that knew nothing of each other would send twice as many
    assert not [pod for pod in pods if (pod.folder / ".capa").exists()]


def test_a_chord_is_counted_over_both_pods(pods: tuple[Pod, Pod], redis_url: str) -> None:
    assert str(TOTAL) == pods[1].run("print(proj.count(0.5).get(timeout=60))")

    assert {"first", "second"} == set(_noted(redis_url, "squares"))
    assert [str(TOTAL)] == _noted(redis_url, "totals")


def test_one_pod_goes_on_alone_when_the_other_is_killed(pods: tuple[Pod, Pod], redis_url: str) -> None:
    first, second = pods
    task_id = second.run("print(proj.count(2).id)")
    _wait_until(lambda: {"first", "second"} == set(_noted(redis_url, "begun")), second)
    first.kill()
    ticks = len(_noted(redis_url, "ticks"))

    assert str(TOTAL) == second.run(f"print(proj.app.AsyncResult({task_id!r}).get(timeout=120))")
    assert [str(TOTAL)] == _noted(redis_url, "totals")
    _wait_until(lambda: Counter(_noted(redis_url, "ticks")[ticks:])["second"] >= 3, second)


def test_a_pod_without_the_lock_of_the_tutorial_does_not_start_its_beat(
    tmp_path: Path, redis_url: str
) -> None:
    pod = Pod(tmp_path / "pod", redis_url)
    complete = (pod.folder / "capa.toml").read_text()
    (pod.folder / "capa.toml").write_text(complete.partition("[profiles.prod.lock.default]")[0])
    pod.start()
    try:
        _wait_until(lambda: "[profiles.prod.lock.default]" in pod.log, pod)
        _wait_until(lambda: " ready." in pod.log, pod)
    finally:
        pod.kill()

    assert "nothing serves lock 'celery', because profile 'prod' is chosen" in pod.log
    assert [] == _noted(redis_url, "ticks")
