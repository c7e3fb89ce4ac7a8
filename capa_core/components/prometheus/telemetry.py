"""Metrics that a Prometheus fetches from `/metrics`: `capa_core.health` has the applications."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature
from capa_core.blocks.telemetry.settings import ProcessSettings
from capa_core.forks import renew_locks_after_fork

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader
    from prometheus_client import Metric


class PrometheusTelemetrySettings(ProcessSettings):
    """The form of the metrics.

    Attributes:
        prefix: Precedes each name.
        scope_labels: Whether each metric has the labels of the library that records it.
    """

    prefix: str = ""
    scope_labels: bool = False


class _Registry(CollectorRegistry):
    """Metrics whose text UTF-8 can hold: one label that it cannot, as of a name of a file, would end each fetch."""

    def collect(self) -> Iterator[Metric]:
        for family in super().collect():
            family.samples = [each._replace(labels=_encodable(each.labels)) for each in family.samples]
            family.documentation = _escaped(family.documentation)
            yield family


def _encodable(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: _escaped(value) for name, value in labels.items()}


def _escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


class PrometheusTelemetry(TelemetryDriver[PrometheusTelemetrySettings]):
    """A registry of this process, which each fetch reads."""

    settings_type = PrometheusTelemetrySettings
    features = {
        TelemetryFeature.BOUNDED: BY_CORE,
        TelemetryFeature.FORKS: BY_CORE,
        TelemetryFeature.TRACES: absent("Prometheus has metrics alone; a second component may send traces"),
        TelemetryFeature.METRICS: NATIVE,
        TelemetryFeature.SCRAPE: NATIVE,
    }

    def __init__(self, settings: PrometheusTelemetrySettings) -> None:
        super().__init__(settings)
        self._registry = _Registry()
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """See `HasLocks.make_locks`."""
        self._fetching = threading.Lock()

    def reader(self) -> MetricReader:
        """See `TelemetryDriver.reader`."""
        self._registry = _Registry()
        return PrometheusMetricReader(
            prefix=self.settings.prefix,
            scope_info_enabled=self.settings.scope_labels,
            registry=self._registry,
        )

    def exposition(self) -> tuple[bytes, str]:
        """See `TelemetryDriver.exposition`."""
        with self._fetching:  # OpenTelemetry's reader would give the metrics of two fetches to one of them
            return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def address(self) -> str:
        """See `Driver.address`."""
        return ""

    def ping(self) -> str:
        """See `Driver.ping`."""
        return "waits to be scraped"

    def close(self) -> None:
        """See `Driver.close`."""
        self._registry = _Registry()
