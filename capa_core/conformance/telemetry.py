"""Conformance of telemetry drivers, tested over the portable type.

    class TestMyTelemetry(TelemetryConformance):
        @pytest.fixture
        def connect(self, my_collector):
            return lambda: MyTelemetry(MySettings(url=my_collector.url))

        @pytest.fixture
        def seen(self, my_collector):
            return lambda telemetry: Seen(spans=…, totals=…)

Declared abilities are measured in both directions: those that a driver has are tested, and the others must be
missing.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from capa_core.blocks.telemetry import Telemetry, TelemetryDriver, TelemetryFeature, start
from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._processes import in_children
from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import ClosedError, InvalidArgumentError, UnsupportedError

Connect = Callable[[], TelemetryDriver[Any]]

COUNTER = "conformance.orders"


@dataclass(frozen=True, slots=True)
class Seen:
    """The reports that the engine has got.

    Attributes:
        spans: The id of the process and the name of each span.
        totals: The last total of the counter `conformance.orders`, by the id of the process.
    """

    spans: list[tuple[int, str]] = field(default_factory=list)
    totals: dict[int, float] = field(default_factory=dict)


class TelemetryConformance(ContractPromises, ABC):
    """Subclass it, override `connect` and `seen`, and every test runs against your engine.

    Attributes:
        shared: Whether the engine is outside of this process, so that `seen` shows the reports of a child too.
    """

    shared = True

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a function that opens a driver on an engine that has got nothing yet."""

    @pytest.fixture
    @abstractmethod
    def seen(self) -> Callable[[Telemetry], Seen]:
        """Return a function that returns what the engine has got, given the component."""

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[TelemetryDriver[Any]]:
        """Yield a driver."""
        driver = connect()
        yield driver
        driver.close()

    @pytest.fixture
    def telemetry(self, driver: TelemetryDriver[Any]) -> Iterator[Telemetry]:
        """Yield the portable type over the driver, started."""
        with Telemetry(driver, name="conformance") as telemetry:
            start([telemetry])
            yield telemetry

    # Declared abilities

    def test_declares_every_ability(self, driver: TelemetryDriver[Any]) -> None:
        assert set(TelemetryFeature) == set(driver.features)

    def test_gives_a_reason_for_each_missing_ability(self, driver: TelemetryDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if not support and not support.note]

    def test_has_every_ability_of_level_0(self, driver: TelemetryDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if each.level == 0 and not support]

    # Reports

    def test_a_span_arrives_once_if_declared(
        self, telemetry: Telemetry, seen: Callable[[Telemetry], Seen]
    ) -> None:
        work(telemetry, "one", 1)
        telemetry.flush(PATIENCE_S)
        telemetry.flush(PATIENCE_S)

        expected = [(os.getpid(), "one")] if telemetry.features[TelemetryFeature.TRACES] else []
        assert expected == seen(telemetry).spans

    def test_metrics_are_totals_if_declared(
        self, telemetry: Telemetry, seen: Callable[[Telemetry], Seen]
    ) -> None:
        for _ in range(3):
            work(telemetry, "one", 2)
            telemetry.flush(PATIENCE_S)

        expected = {os.getpid(): 6.0} if telemetry.features[TelemetryFeature.METRICS] else {}
        assert expected == seen(telemetry).totals

    def test_names_and_values_of_any_text_arrive(
        self, telemetry: Telemetry, seen: Callable[[Telemetry], Seen]
    ) -> None:
        name = 'é 🔑 "quoted" \\ \n {}'
        with telemetry.tracer("conformance").start_as_current_span(name) as span:
            span.set_attribute("text", name)
        telemetry.meter("conformance").create_counter(COUNTER).add(1, {"text": name})
        telemetry.flush(PATIENCE_S)

        expected = [name] if telemetry.features[TelemetryFeature.TRACES] else []
        assert expected == [each for _, each in seen(telemetry).spans]

    def test_the_last_ones_are_sent_at_the_end(
        self, connect: Connect, seen: Callable[[Telemetry], Seen]
    ) -> None:
        telemetry = Telemetry(connect(), name="conformance")
        start([telemetry])
        work(telemetry, "last", 1)
        sends = bool(telemetry.features[TelemetryFeature.TRACES])
        telemetry.close()

        assert (1 if sends else 0) == telemetry.status.sent_spans
        assert not self.shared or not sends or [(os.getpid(), "last")] == seen(telemetry).spans

    def test_parent_and_child_report_each_their_own(
        self, telemetry: Telemetry, seen: Callable[[Telemetry], Seen]
    ) -> None:
        """Nothing comes twice: neither spans that wait while the process forks, nor the counts until then."""
        work(telemetry, "before", 1)

        def child(_: int) -> tuple[int, Seen]:
            work(telemetry, "child", 10)
            telemetry.flush(PATIENCE_S)
            return os.getpid(), seen(telemetry)

        ((pid, theirs),) = in_children(1, child)
        work(telemetry, "after", 2)
        telemetry.flush(PATIENCE_S)
        mine = seen(telemetry)
        spans = Counter(mine.spans if self.shared else mine.spans + theirs.spans)
        totals = mine.totals if self.shared else theirs.totals | mine.totals
        features, me = telemetry.features, os.getpid()

        assert spans == Counter(
            [(me, "before"), (pid, "child"), (me, "after")] if features[TelemetryFeature.TRACES] else []
        )
        assert totals == ({me: 3.0, pid: 10.0} if features[TelemetryFeature.METRICS] else {})

    # The end

    def test_nothing_is_recorded_after_the_end(self, telemetry: Telemetry) -> None:
        tracer = telemetry.tracer("conformance")
        telemetry.close()
        telemetry.close()
        with tracer.start_as_current_span("late") as span:
            assert not span.is_recording()

        for call in (telemetry.flush, telemetry.ping):
            with pytest.raises(ClosedError):
                call()

    def test_flushing_after_a_fork_needs_no_parent(self, telemetry: Telemetry) -> None:
        """A flush while nothing was recorded ends, in parent and child."""
        in_children(2, lambda _: telemetry.flush(PATIENCE_S))
        telemetry.flush(PATIENCE_S)

    @pytest.mark.parametrize("timeout", [-1, 301, True, "1", None], ids=repr)
    def test_an_invalid_timeout_is_refused(self, telemetry: Telemetry, timeout: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            telemetry.flush(timeout)

    # Metrics that are fetched

    def test_metrics_are_fetched_if_declared(self, telemetry: Telemetry) -> None:
        work(telemetry, "one", 1)
        if telemetry.features[TelemetryFeature.SCRAPE]:
            body, kind = telemetry.exposition()
            assert b"conformance" in body
            assert "/" in kind
        else:
            with pytest.raises(UnsupportedError):
                telemetry.exposition()

    def test_ping_describes_the_engine(self, telemetry: Telemetry) -> None:
        assert telemetry.ping()


def work(telemetry: Telemetry, name: str, number: int) -> None:
    """Record a span with *name*, and count *number*."""
    with telemetry.tracer("conformance").start_as_current_span(name):
        telemetry.meter("conformance").create_counter(COUNTER).add(number)
