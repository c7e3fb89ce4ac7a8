"""Requests to LibCST, which runs in a separate process.

It takes long to import, and its native part can crash the process. So it runs as `python -m
capa_codemods.libcst_commands.process`, which stays for as long as it answers. A request that it does not survive has no
answer, and the next request begins another process. Each process that sends requests has a LibCST process to itself.

The limit on a request is CPU time, which is the same on a busy machine. One that uses none for ten times as long
ends too.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import select
import signal
import subprocess
import sys
from importlib import import_module
from typing import Any

_WAIT_FACTOR = 10

Answer = dict[str, Any]
_running: tuple[int, subprocess.Popen[bytes]] | None = None


class NoAnswerError(Exception):
    """There is no answer, for the reason in the message. The next question goes to another process."""


class SlowError(NoAnswerError):
    """It took longer than its limit."""


def ask_libcst(module: str, question: dict[str, Any], cpu_s: float) -> Answer:
    """Return the result of the function `answer` of *module* for *question*.

    Raises:
        SlowError: It took more than *cpu_s* seconds of CPU time, or used none for ten times as many.
        NoAnswerError: The process ended, or the function raised something that is no `Exception`.
    """
    process = _process()
    try:
        assert process.stdin is not None  # noqa: S101 - opened with pipes
        process.stdin.write(json.dumps([module, question, cpu_s]).encode() + b"\n")
        process.stdin.flush()
        answer: Answer = json.loads(_line(process, cpu_s))
    except (OSError, ValueError) as error:
        reason = _end_of(process, cpu_s)
        _end()
        raise reason from error
    except SlowError:
        _end()
        raise
    if "raised" in answer:
        raise NoAnswerError(answer["raised"])
    return answer


def _line(process: subprocess.Popen[bytes], cpu_s: float) -> bytes:
    """Return the next line of *process*; what there is of it if the process ends.

    Raises:
        SlowError: It only waits.
    """
    assert process.stdout is not None  # noqa: S101 - opened with pipes
    wait_s = cpu_s * _WAIT_FACTOR
    used = _cpu_ticks(process)
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], wait_s)
        if not ready:
            before, used = used, _cpu_ticks(process)
            if used == before:
                raise SlowError(f"it waited for {wait_s:g} s")
            continue
        part = os.read(process.stdout.fileno(), 1 << 20)
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def _cpu_ticks(process: subprocess.Popen[bytes]) -> int:
    """Return the CPU time that *process* has used; 0 where the system does not tell."""
    try:
        with open(f"/proc/{process.pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def _end_of(process: subprocess.Popen[bytes], cpu_s: float) -> NoAnswerError:
    """Return how *process*, which gives no more answers, has ended."""
    try:
        code = process.wait(timeout=1)
    except subprocess.TimeoutExpired:
        return NoAnswerError("its process gave no answer")
    if code == -getattr(signal, "SIGXCPU", 0):
        return SlowError(f"it took more than {cpu_s:g} s of CPU time")
    by = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return NoAnswerError(f"its process ended ({by})")


def _process() -> subprocess.Popen[bytes]:
    global _running  # noqa: PLW0603 - one for the process
    if _running is None or _running[0] != os.getpid() or _running[1].poll() is not None:
        _end()
        # -P: else a `json.py` of the project would be found before Python's, and run.
        process = subprocess.Popen(  # noqa: S603 - this very module
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        _running = (os.getpid(), process)
    return _running[1]


def _end() -> None:
    """End the process that answers, if it is ours: a fork has a copy of its parent's."""
    global _running  # noqa: PLW0603 - one for the process
    if _running is not None and _running[0] == os.getpid():
        process = _running[1]
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # a question may be left that is never read
                    pipe.close()
    _running = None


atexit.register(_end)


def _main() -> int:
    # The output of a command must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        try:
            module, question, cpu_s = json.loads(line)
            _limit(cpu_s)
            answer = import_module(module).answer(question)
        except BaseException as error:  # noqa: BLE001 - a panic of the native parser is no Exception; it is reported
            answer = {"raised": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    return 0


def _limit(cpu_s: float) -> None:
    """Let the system end this process when it has used *cpu_s* more seconds of CPU time, without a core dump."""
    with contextlib.suppress(ImportError):  # no such limits on Windows: that of waiting holds
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        soft = math.ceil(used.ru_utime + used.ru_stime + cpu_s)
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


if __name__ == "__main__":
    sys.exit(_main())
