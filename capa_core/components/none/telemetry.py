"""No telemetry: nothing is recorded, and nothing is sent."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.telemetry.driver import TelemetryDriver, TelemetryFeature


class NoTelemetrySettings(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoTelemetry(TelemetryDriver[NoTelemetrySettings]):
    """Reports to nobody; the providers of OpenTelemetry stay those of the application."""

    settings_type = NoTelemetrySettings
    features = {
        **dict.fromkeys(
            TelemetryFeature, absent('nothing is reported; choose another driver, such as "otlp"')
        ),
        TelemetryFeature.BOUNDED: NATIVE,
        TelemetryFeature.FORKS: NATIVE,
    }

    def ping(self) -> str:
        """See `Driver.ping`."""
        return "nothing is reported"

    def close(self) -> None:
        """See `Driver.close`."""
