"""Prometheus for tests: one that scrapes an address of this machine several times a second."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from ._process import ServerProcess, free_port
from ._program import Program

PROGRAM = Program("prometheus", "prometheus", install="apt-get install prometheus")

_SETTINGS = """\
scrape_configs:
  - job_name: capa
    scrape_interval: 200ms
    scrape_timeout: 200ms
    static_configs: [{targets: ["127.0.0.1:%d"]}]
"""


class Prometheus(ServerProcess):
    """Scrapes `/metrics` on *target*, a port of loopback."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = free_port()
        (folder / "prometheus.yml").write_text(_SETTINGS % target)
        command = [
            PROGRAM.require(),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
        ]
        super().__init__(command, folder, self._is_ready)

    def _is_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10):
                return True
        except OSError:  # it listens before it is ready, and answers 503
            return False

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the labels and the value of each series that *expression* gives now."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urlencode({'query': expression})}"
        with urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        return [{**each["metric"], "value": float(each["value"][1])} for each in found["data"]["result"]]


@pytest.fixture
def prometheus_of() -> Iterator[Callable[[int], Prometheus]]:
    """Give a function that starts a Prometheus which scrapes a port of this machine."""
    with ExitStack() as stack:

        def start(target: int) -> Prometheus:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prometheus-")))
            return stack.enter_context(Prometheus(folder, target).serving())

        yield start
