"""A component as traces and metrics name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from capa_core.call import telemetry
from capa_core.call.conventions import Convention
from capa_core.engine import system_of

T = TypeVar("T")


class Subject:
    """Turns each call to the engine of one component into a span and a measurement."""

    __slots__ = ("_by_operation", "_convention", "_driver", "block", "name")

    def __init__(self, block: str, name: str, driver: type, convention: Convention) -> None:
        self.block = block
        self.name = name
        self._driver = driver
        self._convention = convention
        self._by_operation: dict[str, Mapping[str, Any]] = {}

    def run(self, operation: str, call: Callable[[], T]) -> T:
        """Return what *call* returns; its seconds, and the error that leaves it, are recorded."""
        attributes = self._attributes(operation)
        with telemetry.measured(self._convention.duration, attributes):
            if not telemetry.tracing():
                return call()
            with telemetry.span(f"{self.block} {operation}", attributes):
                return call()

    def _attributes(self, operation: str) -> Mapping[str, Any]:
        found = self._by_operation.get(operation)
        if found is None:
            found = self._by_operation[operation] = {
                "capa.block": self.block,
                "capa.component": self.name,
                "capa.driver": self._driver.__name__,
                self._convention.system: system_of(self._driver),
                self._convention.operation: operation,
            }
        return found
