"""An engine that is broken on purpose: its server, what makes it durable, and how programs reach it."""

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers._process import ServerProcess
from servers._program import Program

FOLDER = Path(__file__).with_name("engines")
CONSUMERS = 2
PROCESSES = 1 + CONSUMERS
"""Of a cell: the producer is the first."""


@dataclass(frozen=True, kw_only=True)
class Engine:
    """One file of `engines/` declares one, under the name of its pub/sub driver.

    Args:
        title: As on the page.
        conditions: The settings of server and component that the figures depend on, for the page.
        settings: Returns the settings of the component, of a server behind a loopback port (0 if there is none), and of
            a folder on the disk that a fault fills.
        program: The server's; `None` for an embedded engine.
        celery_url: The address of the broker for Celery itself, with the place of the port; empty if it has no
            transport for this engine.
        started: Runs the server with its data in a folder, for the length of a `with` block. It must keep what it has
            acknowledged when it is killed.
        proxied: Returns for the proxy of each process the port that it leads to, and its own; 0 for any.
        settled: Called once when the queue exists, before the first fault.
        freed: Called when a full disk has room again; starts a server that has ended, by default.
        not_run: For each fault that this engine cannot have, the reason, for the page.
        disk_mb: The size of the disk that is filled.
        unseen_s: As for the judge, where the engine does not confirm an acknowledgement.
    """

    title: str
    conditions: str
    settings: Callable[[int, Path], dict[str, Any]]
    program: Program | None = None
    celery_url: str = ""
    started: Callable[[Path], AbstractContextManager[ServerProcess]] | None = None
    proxied: Callable[[Any, int], tuple[int, int]] = lambda server, _number: (server.port, 0)
    settled: Callable[[Any], None] = lambda _server: None
    freed: Callable[[Any], None] = ServerProcess.revive
    not_run: Mapping[str, str] = field(default_factory=dict)
    disk_mb: int = 64
    unseen_s: float = 0.0


def start_again(server: ServerProcess) -> None:
    """Kill and start a server that does not recover from a full disk by itself, as its operator has to."""
    server.kill()
    server.start()


def engines() -> dict[str, Engine]:
    """Return the engines by the names of their drivers."""
    names = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    return {name: importlib.import_module(f"reliability.engines.{name}").ENGINE for name in names}
