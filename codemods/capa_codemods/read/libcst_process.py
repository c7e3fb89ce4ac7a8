"""Requests to LibCST, which runs in a separate process.

It takes long to import, and its native part can crash the process. So it runs as `python -m
capa_codemods.read.libcst_process`, which stays for as long as it answers. A request that it does not survive has no
answer, and the next request begins another process. Each process that sends requests has a LibCST process to itself.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
from importlib import import_module
from typing import Any

_TIMEOUT_S = 60

Answer = dict[str, Any]
_running: tuple[int, subprocess.Popen[bytes]] | None = None


def ask_libcst(module: str, question: dict[str, Any]) -> Answer | None:
    """Return the result of the function `answer` of *module* for *question*; None if it raised or did not return."""
    process = _process()
    try:
        assert process.stdin is not None  # noqa: S101 - opened with pipes
        process.stdin.write(json.dumps([module, question]).encode() + b"\n")
        process.stdin.flush()
        line = _line(process)
        answer: Answer | None = json.loads(line) if line else None
    except (OSError, ValueError):
        answer, line = None, b""
    if not line:
        _end()
    return answer


def _line(process: subprocess.Popen[bytes]) -> bytes:
    """Return the next line of *process*; nothing if it ends or takes too long."""
    assert process.stdout is not None  # noqa: S101 - opened with pipes
    parts: list[bytes] = []
    while not parts or not parts[-1].endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], _TIMEOUT_S)
        part = os.read(process.stdout.fileno(), 1 << 20) if ready else b""
        if not part:
            return b""
        parts.append(part)
    return b"".join(parts)


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
            module, question = json.loads(line)
            answer = import_module(module).answer(question)
        except BaseException:  # noqa: BLE001 - a panic of the native parser is no Exception; the answer is the same
            answer = None
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    return 0


if __name__ == "__main__":
    sys.exit(_main())
