"""Forked children: run a function in each and return its result."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

_TIME_LIMIT_S = 30


class Child:
    """A forked child that runs *function* and ends."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        with warnings.catch_warnings():
            # From 3.12 on Python warns of a fork with other threads, which is what these tests examine.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _run(function, writer)
        os.close(writer)

    def result(self) -> Any:
        """Wait for the end of the child and return the result of the function.

        Raises:
            AssertionError: The function raised, or the child died; the message has its traceback.
        """
        with os.fdopen(self._reader, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(self.pid, 0)
        assert answer, f"the child ended without an answer, status {status}"
        done, value = pickle.loads(answer)  # noqa: S301 - written by our own child
        assert done, value
        return value


def in_children(count: int, function: Callable[[int], Any]) -> list[Any]:
    """Run *function* with 0 … *count* - 1 in concurrent children and return the results in this order."""
    children = [Child(lambda number=number: function(number)) for number in range(count)]  # type: ignore[misc]
    return [child.result() for child in children]


def _run(function: Callable[[], Any], writer: int) -> NoReturn:
    """Send the result through *writer* and end without the parent's clean-up."""
    signal.alarm(_TIME_LIMIT_S)
    try:
        answer: tuple[bool, Any] = True, function()
    except BaseException:  # noqa: BLE001 - the parent raises the error
        answer = False, traceback.format_exc()
    with os.fdopen(writer, "wb") as pipe:
        pickle.dump(answer, pipe)
    os._exit(0)
