"""Telemetry: traces and metrics of every block, and of the application, to OpenTelemetry's collectors and others."""

from capa_core.block import Block, Closing
from capa_core.blocks.telemetry._portable import Telemetry, add_trace_fields, start
from capa_core.blocks.telemetry.driver import (
    TelemetryDriver,
    TelemetryFeature,
    TelemetryLimits,
    TelemetryStatus,
)

__all__ = [
    "BLOCK",
    "Telemetry",
    "TelemetryDriver",
    "TelemetryFeature",
    "TelemetryLimits",
    "TelemetryStatus",
    "add_trace_fields",
    "start",
]

BLOCK = Block(
    name="telemetry",
    portable=Telemetry,
    driver=TelemetryDriver,
    features=TelemetryFeature,
    embedded="none",
    server="otlp",
    closing=Closing.REPORTS,
    face=("Telemetry", "add_trace_fields"),
    keeps_data=False,
)
