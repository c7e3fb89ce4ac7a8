import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from capa_core.blocks.telemetry import Telemetry
from capa_core.components.console.telemetry import ConsoleTelemetry, ConsoleTelemetrySettings
from capa_core.conformance.telemetry import COUNTER, Connect, Seen, TelemetryConformance


class TestConsoleTelemetry(TelemetryConformance):
    """On a file in the place of the standard error."""

    @pytest.fixture
    def console(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        with (tmp_path / "stderr").open(
            "w"
        ) as file:  # that of `sys` is pytest's, and another one in each phase
            monkeypatch.setattr("capa_core.blocks.telemetry.lines.sys", SimpleNamespace(stderr=file))
            yield tmp_path / "stderr"

    @pytest.fixture
    def connect(self, console: Path) -> Connect:
        return lambda: ConsoleTelemetry(ConsoleTelemetrySettings())

    @pytest.fixture
    def seen(self, console: Path) -> Callable[[Telemetry], Seen]:
        return lambda _: _seen(console.read_text())


def _seen(text: str) -> Seen:
    lines = [json.loads(line) for line in text.splitlines()]
    return Seen(
        spans=[(line["process"], line["span"]) for line in lines if "span" in line],
        totals={line["process"]: line["value"] for line in lines if line.get("metric") == COUNTER},
    )
