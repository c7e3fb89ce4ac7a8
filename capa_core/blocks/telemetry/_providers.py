"""Providers of tracers and meters that the process keeps while what they report to is replaced.

OpenTelemetry lets a process set each provider once, and its SDK keeps the parent's counts and locks in a forked child.
So the global provider is one of these, which passes each call on to the SDK's provider of the moment: to a new one in
a forked child, and to none when telemetry has ended. Tracers, meters and instruments that an application holds stay
valid.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackT
from opentelemetry.util._decorator import _agnosticcontextmanager

from capa_core.call import telemetry
from capa_core.forks import renew_locks_after_fork

InstrumentT = TypeVar("InstrumentT", bound=metrics.Instrument)
PassingT = TypeVar("PassingT", bound="_Passing[Any]")


class Tracers(trace.TracerProvider):
    """Makes tracers that go to the provider of the moment."""

    def __init__(self) -> None:
        self.now: trace.TracerProvider = trace.NoOpTracerProvider()
        self.is_read = False

    def use(self, provider: trace.TracerProvider | None) -> None:
        """Send all that follows to *provider*; nowhere if it is `None`."""
        self.now = provider or trace.NoOpTracerProvider()
        self.is_read = provider is not None

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """Return a tracer; the arguments are those of the API."""
        return _Tracer(self, lambda provider: provider.get_tracer(*args, **kwargs))


class _Tracer(trace.Tracer):
    def __init__(self, owner: Tracers, make: Callable[[trace.TracerProvider], trace.Tracer]) -> None:
        self._owner = owner
        self._make = make
        self._made: tuple[trace.TracerProvider, trace.Tracer] = (owner.now, make(owner.now))

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        return self._now().start_span(*args, **kwargs)

    # As the API's own proxy: a function that it decorates begins each span at the provider of that moment.
    @_agnosticcontextmanager
    def start_as_current_span(self, *args: Any, **kwargs: Any) -> Iterator[trace.Span]:
        with self._now().start_as_current_span(*args, **kwargs) as span:
            yield span

    def _now(self) -> trace.Tracer:
        provider, tracer = self._made
        if provider is not self._owner.now:
            provider = self._owner.now
            self._made = provider, self._make(provider)
            tracer = self._made[1]
        return tracer


class Meters(metrics.MeterProvider):
    """Makes meters whose instruments go to the provider of the moment."""

    def __init__(self) -> None:
        self.now: metrics.MeterProvider = metrics.NoOpMeterProvider()
        self.is_read = False
        self._meters: dict[Any, _Meter] = {}
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """See `HasLocks.make_locks`."""
        self._changing = threading.RLock()

    def use(self, provider: metrics.MeterProvider | None) -> None:
        """Send all that follows to *provider*; nowhere if it is `None`."""
        with self._changing:
            self.now = provider or metrics.NoOpMeterProvider()
            self.is_read = provider is not None
            for meter in self._meters.values():
                meter.use(self.now)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> metrics.Meter:
        """Return a meter; the arguments are those of the API."""
        key = (name, version, schema_url, tuple(sorted((attributes or {}).items())))
        with self._changing:
            if key not in self._meters:
                self._meters[key] = _Meter(self, name, version, schema_url, attributes)
            return self._meters[key]

    def kept(self, meter: _Meter, made: PassingT, *described: Any) -> PassingT:
        """Return the instrument of *meter* that is so *described*: *made* if it has none yet.

        As with the SDK: an application that makes the same one for each request holds one.

        Raises:
            Exception: The provider of the moment refuses it, such as for its name. It is not kept.
        """
        key = (type(made), *described)
        with self._changing:
            found: PassingT | None = meter.instruments.get(key)
            if found is None:
                made.use(meter.now)
                found = meter.instruments[key] = made
            return found


class _Meter(metrics.Meter):
    def __init__(
        self, owner: Meters, name: str, version: str | None, schema_url: str | None, attributes: Any
    ) -> None:
        super().__init__(name, version, schema_url)
        self.instruments: dict[Any, Any] = {}
        self._owner = owner
        self._attributes = attributes
        self.use(owner.now)

    def use(self, provider: metrics.MeterProvider) -> None:
        self.now = provider.get_meter(self.name, self.version, self.schema_url, self._attributes)
        for instrument in self.instruments.values():
            instrument.renew(self.now)

    def create_counter(self, name: str, unit: str = "", description: str = "") -> metrics.Counter:
        made = _Counter(lambda meter: meter.create_counter(name, unit, description))
        return self._owner.kept(self, made, name, unit, description)

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> metrics.UpDownCounter:
        made = _UpDownCounter(lambda meter: meter.create_up_down_counter(name, unit, description))
        return self._owner.kept(self, made, name, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> metrics.Histogram:
        given = explicit_bucket_boundaries_advisory
        bounds = None if given is None else tuple(given)
        made = _Histogram(
            lambda meter: meter.create_histogram(
                name, unit, description, explicit_bucket_boundaries_advisory=bounds
            )
        )
        return self._owner.kept(self, made, name, unit, description, bounds)

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> metrics._Gauge:
        made = _Gauge(lambda meter: meter.create_gauge(name, unit, description))
        return self._owner.kept(self, made, name, unit, description)

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableCounter:
        made = _ObservableCounter(
            lambda meter: meter.create_observable_counter(name, callbacks, unit, description)
        )
        return self._owner.kept(self, made, name, unit, description)

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableUpDownCounter:
        made = _ObservableUpDownCounter(
            lambda meter: meter.create_observable_up_down_counter(name, callbacks, unit, description)
        )
        return self._owner.kept(self, made, name, unit, description)

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> metrics.ObservableGauge:
        made = _ObservableGauge(
            lambda meter: meter.create_observable_gauge(name, callbacks, unit, description)
        )
        return self._owner.kept(self, made, name, unit, description)


class _Passing(Generic[InstrumentT]):
    """An instrument that passes each measurement on to one of the meter of the moment."""

    _now: InstrumentT

    def __init__(self, make: Callable[[metrics.Meter], InstrumentT]) -> None:
        self._make = make

    def use(self, meter: metrics.Meter) -> None:
        self._now = self._make(meter)

    def renew(self, meter: metrics.Meter) -> None:
        """Go to *meter*; nowhere if it refuses this instrument, which must not keep the others from being reported."""
        try:
            self.use(meter)
        except Exception as error:  # noqa: BLE001 - the SDK raises no type of its own
            self.use(metrics.NoOpMeter("refused"))
            telemetry.logger("telemetry", "default").warning(
                "an instrument of the application is not reported: correct what its reason names",
                reason=str(error),
            )


class _Counter(_Passing[metrics.Counter], metrics.Counter):
    def add(self, amount: float, attributes: Any = None, context: Context | None = None) -> None:
        self._now.add(amount, attributes, context)


class _UpDownCounter(_Passing[metrics.UpDownCounter], metrics.UpDownCounter):
    def add(self, amount: float, attributes: Any = None, context: Context | None = None) -> None:
        self._now.add(amount, attributes, context)


class _Histogram(_Passing[metrics.Histogram], metrics.Histogram):
    def record(self, amount: float, attributes: Any = None, context: Context | None = None) -> None:
        self._now.record(amount, attributes, context)


class _Gauge(_Passing[metrics._Gauge], metrics._Gauge):
    def set(self, amount: float, attributes: Any = None, context: Context | None = None) -> None:
        self._now.set(amount, attributes, context)


class _ObservableCounter(_Passing[metrics.ObservableCounter], metrics.ObservableCounter):
    pass


class _ObservableUpDownCounter(_Passing[metrics.ObservableUpDownCounter], metrics.ObservableUpDownCounter):
    pass


class _ObservableGauge(_Passing[metrics.ObservableGauge], metrics.ObservableGauge):
    pass
