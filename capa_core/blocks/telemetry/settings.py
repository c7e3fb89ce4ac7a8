"""The settings that all exporters share."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1, max_length=1024)]


class ProcessSettings(BaseModel):
    """The name of this process and the share of traces; the same in all `[telemetry.<name>]` tables that have them.

    Attributes:
        service_name: `service.name` of all that is reported; by default that of OTEL_SERVICE_NAME.
        attributes: Further attributes of the process, such as `deployment.environment.name`.
        sample: The share of traces that are recorded, 0 to 1. A trace that another service began follows that one. By
            default OTEL_TRACES_SAMPLER says it, and without that all are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service_name: str = Field(default="", max_length=1024)
    attributes: dict[Text, Text] = {}
    sample: float | None = Field(default=None, ge=0, le=1)


class ExportSettings(ProcessSettings):
    """The bounds of the queue, and the times of sending.

    Attributes:
        traces: Whether spans are sent; for a second component that is to have the metrics alone.
        metrics: Whether metrics are sent.
        interval_s: Seconds between two sendings of spans; a full batch is sent at once.
        metrics_interval_s: Seconds between two reports of the metrics.
        max_queue_spans: Spans that wait; further ones are dropped, and counted.
        max_batch_spans: Spans in one request.
        timeout_s: Seconds for one request.
        flush_s: Seconds that the end of the process waits for the last ones.
    """

    traces: bool = True
    metrics: bool = True
    interval_s: float = Field(default=5.0, ge=0.05, le=3600)
    metrics_interval_s: float = Field(default=60.0, ge=0.05, le=86_400)
    max_queue_spans: int = Field(default=2048, ge=1, le=1_000_000)
    max_batch_spans: int = Field(default=512, ge=1, le=100_000)
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    flush_s: float = Field(default=5.0, gt=0, le=300)
