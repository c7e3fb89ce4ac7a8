"""The failures of a leader's rounds, each logged once for as long as it lasts: a round comes each second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capa_core.errors import CapaError
from capa_core.supervision import as_text

_ENGINE = ""
"""In place of the name of a job, which has a character at least."""


class Failures:
    """Those of the engine, and those of each job. For one thread.

    Args:
        log: Returns the logger.
    """

    def __init__(self, log: Callable[[], Any]) -> None:
        self._log = log
        self._lasting: dict[str, str] = {}
        self._in_round: set[str] = set()

    def of_engine(self, error: CapaError) -> None:
        """Note that the engine failed."""
        self._in_round.add(_ENGINE)
        if _ENGINE not in self._lasting:  # an outage goes on, whatever its errors say
            self._lasting[_ENGINE] = str(error)
            self._log().warning("the schedule's engine failed, it is tried again", error=str(error))

    def of_job(self, name: str, error: Exception) -> None:
        """Note that a job could not be led: by an outage, by its stored value, or by an unforeseen error."""
        if not isinstance(error, CapaError):
            self._note(name, traceback=as_text(error))
        elif error.retryable:
            self.of_engine(error)
        else:
            self._note(name, error=str(error))

    def end_round(self) -> None:
        """Forget what did not fail again. An engine that reads and cannot write has not come back."""
        failed, self._in_round = self._in_round, set()
        if _ENGINE in failed:
            return  # most jobs were not tried
        if _ENGINE in self._lasting:
            self._log().info("the schedule's engine answers again")
        self._lasting = {name: text for name, text in self._lasting.items() if name in failed}

    def _note(self, name: str, **reason: str) -> None:
        self._in_round.add(name)
        (text,) = reason.values()
        if self._lasting.get(name) != text:
            self._lasting[name] = text
            self._log().error("a job cannot be led, it is tried again", job=name, **reason)
