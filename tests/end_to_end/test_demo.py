"""The demonstration reports true counts, cleans up after itself, and ends on request.

On the embedded default, and with values from AppConfig: what each server's engine does with killed workers is in
`tests/faults`.
"""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "examples.demo"]
WITHIN_S = 280  # on a machine that has other things to do; alone it takes less than a minute

pytestmark = pytest.mark.timeout(300)


def _run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"TMPDIR": str(folder)} | environment
    with subprocess.Popen(
        COMMAND, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            printed, errors = demo.communicate(timeout=WITHIN_S)
        except subprocess.TimeoutExpired:
            demo.send_signal(
                signal.SIGINT
            )  # it ends the processes that it has started; killed, it would leave them
            raise
    return subprocess.CompletedProcess(COMMAND, demo.returncode, printed, errors)


def _pids(printed: str) -> list[int]:
    return [int(pid) for pid in re.findall(r"pid (\d+)", printed)]


def _alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_no_order_is_lost_when_a_worker_is_killed(tmp_path: Path) -> None:
    ran = _run(tmp_path)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"sent (\d+) = done \1, lost 0", ran.stdout)
    assert len(_pids(ran.stdout)) == 5
    assert [] == _alive(_pids(ran.stdout))
    assert [] == list(tmp_path.iterdir())


@pytest.mark.server("appconfig")
def test_a_deployment_of_appconfig_changes_the_running_shop(tmp_path: Path) -> None:
    ran = _run(tmp_path, PROFILE="appconfig")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r"configuration +default +appconfig .*: 'shop' in 'prod'", ran.stdout)
    assert re.search(r"discount \d+ % → 20 %, seen by the running catalogue after \d+ ms", ran.stdout)
    assert re.search(r"sent (\d+) = done \1, lost 0", ran.stdout)
    assert [] == _alive(_pids(ran.stdout))
    assert [] == list(tmp_path.iterdir())


def test_ctrl_c_stops_every_process_and_keeps_the_logs(tmp_path: Path) -> None:
    with subprocess.Popen(
        COMMAND, cwd=ROOT, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        printed = "".join(iter(lambda: _until_traffic(demo), ""))
        demo.send_signal(signal.SIGINT)
        printed += demo.stdout.read()

    assert demo.returncode == 1
    assert len(_pids(printed)) == 5
    assert [] == _alive(_pids(printed))
    assert list(tmp_path.glob("capa-demo-*/logs/worker-1.log"))


def _until_traffic(demo: subprocess.Popen[str]) -> str:
    assert demo.stdout is not None
    line = demo.stdout.readline()
    return "" if "place --count" in line else line


def test_colours_are_for_terminals_only(tmp_path: Path) -> None:
    ran = _run(tmp_path, PROFILE="nowhere")

    assert ran.returncode == 3
    assert "PROFILE=nowhere" in ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
