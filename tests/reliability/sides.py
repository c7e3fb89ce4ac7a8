"""The sides that send and consume: Capa, a Celery application on Capa, and the peers, all with one kind of journal."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from reliability.engine import engines

LEASE_S = 2.0
SLOTS = 2
TESTS = Path(__file__).parents[1]
_UNSEEN_S = 0.1
"""A worker acknowledges within that time of the end of a task, where the application does not see it."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a process works: its driver and server, its own folder, and the plan that all share."""

    engine: str
    port: int
    disk: Path
    folder: Path
    plan: Mapping[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the component."""
        return engines()[self.engine].settings(self.port, self.disk)


@dataclass(frozen=True, kw_only=True)
class Side:
    """A way to send and to consume.

    Args:
        title: As on the page.
        conditions: Its settings, for the page.
        produce: Returns the command and the environment of a producer.
        consume: The same of a consumer.
        on: The engines that it can use; `None` for all.
        unseen_s: As for the judge.
        pool: Whether a consumer has processes that do its work.
    """

    title: str
    conditions: str
    produce: Callable[[Place], tuple[list[str], dict[str, str]]]
    consume: Callable[[Place], tuple[list[str], dict[str, str]]]
    on: frozenset[str] | None = None
    unseen_s: float = 0.0
    pool: bool = False

    def runs_on(self, engine: str) -> bool:
        """Return whether it can use *engine*."""
        return self.on is None or engine in self.on


def _program(module: str, role: str, own: Callable[[Place], dict[str, Any]]) -> Callable[[Place], Any]:
    def command(place: Place) -> tuple[list[str], dict[str, str]]:
        words = json.dumps({**place.plan, **own(place)})
        return [sys.executable, "-m", module, role, words], {}

    return command


def _capa(place: Place) -> dict[str, Any]:
    return {"driver": place.engine, "settings": place.settings}


def _confluent(place: Place) -> dict[str, Any]:
    servers = {"bootstrap.servers": f"127.0.0.1:{place.port}", "log_level": 0}
    return {"options": servers, "partitions": place.settings["partitions"]}


def _boto3(place: Place) -> dict[str, Any]:
    names = {"endpoint_url": "endpoint_url", "region": "region_name"}
    keys = {"access_key_id": "aws_access_key_id", "secret_access_key": "aws_secret_access_key"}
    return {"client": {theirs: place.settings[ours] for ours, theirs in (names | keys).items()}}


def _pika(place: Place) -> dict[str, Any]:
    return {"url": f"amqp://127.0.0.1:{place.port}/%2F?heartbeat=1&blocked_connection_timeout=5"}


_ANY_URL = "redis://127.0.0.1:{port}/0"
"""Of an application on Capa, whose capa.toml says where its broker is."""


@dataclass(frozen=True)
class _Tasks:
    """The commands of a Celery application."""

    package: str
    conf: Mapping[str, Any]

    def produce(self, place: Place) -> tuple[list[str], dict[str, str]]:
        return [sys.executable, "-m", "reliability.programs.tasks"], self._environment(place)

    def consume(self, place: Place) -> tuple[list[str], dict[str, str]]:
        words = f"-m {self.package} -A reliability.programs.tasks worker -P prefork -c {SLOTS} -l WARNING"
        name = ["-n", f"{place.folder.name}@localhost", "--without-gossip", "--without-mingle"]
        return [sys.executable, *words.split(), *name], self._environment(place)

    def _environment(self, place: Place) -> dict[str, str]:
        if self.package == "capa_celery":
            _write_capa_toml(place)
        broker = (engines()[place.engine].celery_url or _ANY_URL).format(port=place.port)
        own = {"package": self.package, "broker": broker, "conf": dict(self.conf)}
        return {"PLAN": json.dumps({**place.plan, **own}), "PYTHONWARNINGS": "ignore", "C_FORCE_ROOT": "1"}


def _write_capa_toml(place: Place) -> None:
    tables = [f"[adapters.celery]\nlease_s = {place.plan['lease_s']}\nmax_worker_losses = 1000\n"]
    for block in ("pubsub", "state", "lock"):
        served = block == "pubsub" or place.engine in entry_points(group=f"capa.{block}").names
        driver = place.engine if served else "sqlite"
        settings = place.settings if served else {"folder": str(place.disk / "capa")}
        lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
        tables.append(f'[{block}.default]\ndriver = "{driver}"\n{lines}')
    (place.folder / "capa.toml").write_text("".join(tables))


_ON_CAPA = _Tasks("capa_celery", {})
_DEFAULTS = _Tasks("celery", {"broker_transport_options": {"confirm_publish": True}})
_LATE = _Tasks(
    "celery",
    {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "broker_transport_options": {"confirm_publish": True, "visibility_timeout": 10},
    },
)
_BROKERS = frozenset(name for name, engine in engines().items() if engine.celery_url)

SIDES: dict[str, Side] = {
    "capa": Side(
        title="Capa",
        conditions=f"two consumers, up to 10 messages at a time, lease {LEASE_S:g} s",
        produce=_program("reliability.programs.capa", "produce", _capa),
        consume=_program("reliability.programs.capa", "consume", _capa),
    ),
    "capa-celery": Side(
        title="Celery on Capa",
        conditions=f"two workers, `-P prefork -c {SLOTS}`, `lease_s = {LEASE_S:g}`",
        produce=_ON_CAPA.produce,
        consume=_ON_CAPA.consume,
        unseen_s=_UNSEEN_S,
        pool=True,
    ),
    "celery": Side(
        title="Celery",
        conditions="the same workers, Celery's own defaults; on RabbitMQ with publisher confirms",
        produce=_DEFAULTS.produce,
        consume=_DEFAULTS.consume,
        on=_BROKERS,
        unseen_s=_UNSEEN_S,
        pool=True,
    ),
    "celery-late": Side(
        title="Celery, late acknowledgement",
        conditions=(
            "the same with `task_acks_late`, `task_reject_on_worker_lost`, and on Redis a visibility timeout of 10 s "
            "instead of an hour"
        ),
        produce=_LATE.produce,
        consume=_LATE.consume,
        on=_BROKERS,
        unseen_s=_UNSEEN_S,
        pool=True,
    ),
    "pika": Side(
        title="pika",
        conditions="two consumers that reconnect, prefetch 10, quorum queue, confirms, heartbeat 1 s",
        produce=_program("reliability.programs.with_pika", "produce", _pika),
        consume=_program("reliability.programs.with_pika", "consume", _pika),
        on=frozenset({"rabbitmq"}),
    ),
    "confluent": Side(
        title="confluent-kafka",
        conditions=f"idempotent producer; two consumers, each message committed when it is done, session {LEASE_S:g} s",
        produce=_program("reliability.programs.with_confluent", "produce", _confluent),
        consume=_program("reliability.programs.with_confluent", "consume", _confluent),
        on=frozenset({"kafka"}),
    ),
    "boto3": Side(
        title="boto3",
        conditions=(
            "two consumers, up to 10 messages at a time, each deleted when it is done, "
            f"visibility timeout {LEASE_S:g} s"
        ),
        produce=_program("reliability.programs.with_boto3", "produce", _boto3),
        consume=_program("reliability.programs.with_boto3", "consume", _boto3),
        on=frozenset({"sqs"}),
    ),
}


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process: that of the run without Capa's variables, and *own*."""
    outside = {name: value for name, value in os.environ.items() if not name.startswith("CAPA_")}
    return {**outside, "PYTHONPATH": str(TESTS), **own}
