"""The health of a process: whether the engine of each of its components answers."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from capa_core.block import declaration
from capa_core.call.checks import Duration, seconds
from capa_core.forks import renew_locks_after_fork
from capa_core.runtime import default_runtime
from capa_core.supervision import LoggedThread

if TYPE_CHECKING:
    from capa_core.runtime import ComponentReport, Runtime

TIMEOUT_S = 5.0
_LONGEST_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentHealth:
    """The answer of one component.

    Attributes:
        driver: The driver's name in capa.toml.
        healthy: Whether its engine answers.
        needed: Whether the process is unhealthy without it; a receiver of telemetry is not needed.
        said: One line about the engine, or the error.
    """

    block: str
    name: str
    driver: str
    healthy: bool
    needed: bool
    said: str


@dataclass(frozen=True, slots=True)
class Health:
    """The answers of all components, in the order in which a runtime closes them."""

    components: tuple[ComponentHealth, ...]

    @property
    def healthy(self) -> bool:
        """Whether each component that is needed answers."""
        return all(each.healthy for each in self.components if each.needed)

    def as_data(self) -> dict[str, Any]:
        """Return it as `/health` shows it."""
        return {"healthy": self.healthy, "components": [asdict(each) for each in self.components]}


class Checker:
    """Asks the components of a runtime. Safe for many threads.

    All are asked at the same time, and each by one thread at most: while an engine leaves a question unanswered, no
    further one is asked, however often `check` is called.

    Args:
        runtime: The runtime; `None` for the default one of the process.
        timeout: How long `check` waits for answers: above 0, to 300 s.
    """

    def __init__(self, runtime: Runtime | None = None, *, timeout: Duration = TIMEOUT_S) -> None:
        self._runtime = runtime
        self._timeout_s = seconds("timeout", timeout, least=0.001, most=_LONGEST_S)
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """See `HasLocks.make_locks`; the parent's threads are not in a forked child."""
        self._asking = threading.Lock()
        self._questions: dict[tuple[str, str], _Question] = {}

    def check(self) -> Health:
        """Return which components answer, within the timeout.

        It builds the components that the process has not used yet.

        Raises:
            SettingsError: capa.toml is wrong.
        """
        runtime = self._runtime or default_runtime()
        end = time.monotonic() + self._timeout_s
        asked = [(row, self._question(runtime, row)) for row in runtime.report()]
        return Health(tuple(_answer(row, question, end) for row, question in asked))

    def _question(self, runtime: Runtime, row: ComponentReport) -> _Question:
        key = (row.block, row.name)
        with self._asking:
            open_one = self._questions.get(key)
            if open_one is None or open_one.answered.is_set():
                open_one = self._questions[key] = _Question(runtime, row)
            return open_one


class _Question:
    """One ping, in a thread of its own: a driver may take longer than the check may."""

    def __init__(self, runtime: Runtime, row: ComponentReport) -> None:
        self.answered = threading.Event()
        self.answer = (False, "it was not asked")
        self._began = time.monotonic()
        LoggedThread(f"capa-health-{row.block}-{row.name}", partial(self._ask, runtime, row)).start()

    def silence(self) -> tuple[bool, str]:
        """Return the answer of an engine that gives none."""
        return False, f"no answer for {time.monotonic() - self._began:.1f} s"

    def _ask(self, runtime: Runtime, row: ComponentReport) -> None:
        try:
            self.answer = False, "its driver failed"
            self.answer = row.answer(runtime)
        finally:
            self.answered.set()


def _answer(row: ComponentReport, question: _Question, end: float) -> ComponentHealth:
    answered = question.answered.wait(max(0.0, end - time.monotonic()))
    healthy, said = question.answer if answered else question.silence()
    return ComponentHealth(
        block=row.block,
        name=row.name,
        driver=row.driver,
        healthy=healthy,
        needed=declaration(row.block).keeps_data,
        said=said,
    )
