import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from capa_core.blocks.telemetry import Telemetry
from capa_core.components.aws.cloudwatch import CloudWatchTelemetry, CloudWatchTelemetrySettings
from capa_core.conformance.telemetry import COUNTER, Connect, Seen, TelemetryConformance


class TestCloudWatchTelemetry(TelemetryConformance):
    """On a file in the place of the standard output; the totals are those that CloudWatch would make."""

    @pytest.fixture
    def console(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        with (tmp_path / "stdout").open("w") as file:
            monkeypatch.setattr("capa_core.blocks.telemetry.lines.sys", SimpleNamespace(stdout=file))
            yield tmp_path / "stdout"

    @pytest.fixture
    def connect(self, console: Path) -> Connect:
        return lambda: CloudWatchTelemetry(CloudWatchTelemetrySettings())

    @pytest.fixture
    def seen(self, console: Path) -> Callable[[Telemetry], Seen]:
        return lambda _: _seen(console.read_text())


def _seen(text: str) -> Seen:
    totals: dict[int, float] = defaultdict(float)
    for line in map(json.loads, text.splitlines()):
        if COUNTER in line:
            totals[line["process.pid"]] += line[COUNTER]
    return Seen(totals=dict(totals))
