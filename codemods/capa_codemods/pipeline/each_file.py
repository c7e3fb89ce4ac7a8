"""Work on many files: in order, in several processes when that pays, and in spite of a parser that crashes."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NoReturn, TypeVar, cast

T = TypeVar("T")
Work = Callable[[str], T | None]

PAYS_ABOVE = 500
"""Number of files above which more processes pay: each costs 0.1 s of CPU time, and a file takes 1 ms."""

_MAX_PROCESSES = 8
"""More wait for one another: one process takes all answers, in order."""
_SELDOM = 1_000_000
"""New objects until garbage is collected: more than the syntax trees have that are kept at once. Each collection passes
through all of them."""


def each_file(work: Work[T], paths: Sequence[str], crashed: Callable[[str], T]) -> Iterator[T | None]:
    """Yield the result of *work* for each of *paths*, in order; None for a file with nothing to report.

    *crashed* returns the answer for a file that takes its process down. An error of *work* is raised here.
    """
    count = min(_cores(), _MAX_PROCESSES)
    if len(paths) <= PAYS_ABOVE or count == 1 or not hasattr(os, "fork"):
        with rare_garbage_collection():
            yield from map(work, paths)
        return
    with contextlib.ExitStack() as stack:
        shares = [paths[first::count] for first in range(count)]
        workers = [stack.enter_context(contextlib.closing(_Worker(work, share))) for share in shares]
        for number, path in enumerate(paths):
            try:
                yield workers[number % count].answer(number // count)
            except EOFError:
                yield crashed(path)


def _cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Worker(Generic[T]):
    """A process that works on a share of the files and answers through a pipe, file by file."""

    def __init__(self, work: Work[T], share: Sequence[str]) -> None:
        self._work = work
        self._share = share
        self._begin(0)

    def answer(self, number: int) -> T | None:
        """Return the answer for file *number* of the share; numbers must come in order.

        Raises:
            EOFError: The file took the process down. Another process continues with the next file.
        """
        import pickle

        try:
            answer, raised = pickle.load(self._pipe)  # noqa: S301 - from a process that is a copy of this one
        except (EOFError, pickle.UnpicklingError) as error:
            self.close()
            self._begin(number + 1)
            raise EOFError from error
        if raised is not None:
            raise raised
        return cast("T | None", answer)

    def close(self) -> None:
        self._pipe.close()
        # The other process may hold this end of the pipe too, so that closing it would end nothing.
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)

    def _begin(self, first: int) -> None:
        reading, writing = os.pipe()
        # Forked, so that it has the rules and the maps without loading them again.
        self._process = os.fork()
        if not self._process:
            os.close(reading)  # else it would wait for itself to read when the parent is gone
            self._run(writing, self._share[first:])
        os.close(writing)
        self._pipe = open(reading, "rb")  # noqa: SIM115 - `close` closes it

    def _run(self, writing: int, paths: Sequence[str]) -> NoReturn:
        # Nothing of the parent may run here a second time: no handler at the exit, no flush of its output.
        try:
            gc.freeze()
            gc.set_threshold(_SELDOM)
            with open(writing, "wb") as pipe:
                for path in paths:
                    pipe.write(_answer(self._work, path))
                    pipe.flush()  # a file that takes this process down is the first without an answer
        finally:
            os._exit(0)


def _answer(work: Work[Any], path: str) -> bytes:
    import pickle

    try:
        return pickle.dumps((work(path), None))
    except Exception as error:  # noqa: BLE001 - the parent raises it
        return pickle.dumps((None, error))


@contextlib.contextmanager
def rare_garbage_collection() -> Iterator[None]:
    """Collect garbage less often while the block runs: a syntax tree is many objects without cycles."""
    before = gc.get_threshold()
    gc.set_threshold(_SELDOM, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
