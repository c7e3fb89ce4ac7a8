"""A record of the settings that a run of Celery or Capa uses, and of the signals that it receives.

A setting is used when the configuration is asked for it. Some functions do nothing but keep the values, such as
`WorkController.setup_defaults`: for those a setting is used when the attribute that keeps it is read.
"""

import ast
import inspect
import os
import sys
import textwrap
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import celery.app.amqp
import celery.app.log
import celery.apps.beat
import celery.backends.base
import celery.beat
import celery.signals
import celery.worker
from celery import Celery, Task
from celery.app.defaults import NAMESPACES, flatten
from celery.utils.collections import ConfigurationView
from celery.utils.dispatch import Signal

from capa_celery._backend import CapaBackend
from capa_celery._sender import Sender

SETTINGS = frozenset(name for name, _ in flatten(NAMESPACES))
KEEPERS: tuple[tuple[type, Callable[..., Any]], ...] = (
    (celery.worker.WorkController, celery.worker.WorkController.setup_defaults),
    (celery.app.log.Logging, celery.app.log.Logging.__init__),
    (celery.apps.beat.Beat, celery.apps.beat.Beat.__init__),
    (celery.backends.base.Backend, celery.backends.base.Backend.__init__),
    (celery.backends.base.Backend, CapaBackend.__init__),
    (celery.beat.Scheduler, celery.beat.Scheduler.__init__),
    (Sender, Sender.__init__),
)
"""Classes with attributes that keep settings, and the functions that put them there."""
QUEUES = {
    "create_missing": ["task_create_missing_queues"],
    "create_missing_queue_type": ["task_create_missing_queue_type"],
    "create_missing_queue_exchange_type": ["task_create_missing_queue_exchange_type"],
    "max_priority": ["task_queue_max_priority"],
    "default_routing_key": ["task_default_routing_key"],
}
"""The attributes of `Queues`, which gets them as arguments."""
BACKEND = {"_cache": ["result_cache_max"], "failure_expires": ["result_failure_expires"]}
"""The attributes of a result backend that are made from what a variable holds."""
_ON_THE_WAY = (
    "/celery/utils/",
    "/celery/app/utils.py",
    "/vine/",
    "/collections/",
    "_collections_abc.py",
    __file__,
)
_OPTIONS = "/celery/bin/"  # defaults of options, which the worker and beat keep
_KEEP = frozenset(
    [
        *(function.__code__ for _, function in KEEPERS),
        Task.bind.__func__.__code__,
        celery.app.amqp.AMQP.Queues.__code__,
    ]
)


class Record:
    """The lines of a file, to which several processes add."""

    def __init__(self, path: str) -> None:
        """Add to the file at *path*."""
        self._path = Path(path)
        self._noted: set[tuple[int, str]] = set()

    def note(self, line: str) -> None:
        """Add *line*, once in each process."""
        if (os.getpid(), line) not in self._noted:
            self._noted.add((os.getpid(), line))
            with self._path.open("a") as file:
                file.write(f"{line}\n")

    def watch(self, *, without: str = "") -> None:
        """Begin to record, all signals but the one *without*: a receiver of `setup_logging` replaces the usual ones."""
        self._watch_configuration()
        for kind, attributes in _kept():
            self._watch_attributes(kind, attributes)
        for name, signal in vars(celery.signals).items():
            if isinstance(signal, Signal) and name != without:
                signal.connect(self._receiver(name), weak=False)

    def _receiver(self, name: str) -> Callable[..., None]:
        return lambda **_: self.note(f"signal {name}")

    def _watch_configuration(self) -> None:
        read = ConfigurationView.__getitem__

        def recorded(view: Any, key: str) -> Any:
            if key in SETTINGS and _uses(sys._getframe(1)):
                self.note(f"setting {key}")
            return read(view, key)

        ConfigurationView.__getitem__ = recorded

    def _watch_attributes(self, kind: type, attributes: dict[str, list[str]]) -> None:
        read = kind.__getattribute__

        def recorded(one: Any, name: str) -> Any:
            if name in attributes and sys._getframe(1).f_code not in _KEEP:
                for setting in attributes[name]:
                    self.note(f"setting {setting}")
            return read(one, name)

        kind.__getattribute__ = recorded  # type: ignore[assignment]


def _uses(frame: FrameType | None) -> bool:
    """Return whether the first function outside of the configuration itself does more than keep what it reads."""
    while frame is not None and _is_on_the_way(frame.f_code):
        frame = frame.f_back
    return frame is not None and frame.f_code not in _KEEP and _OPTIONS not in frame.f_code.co_filename


def _is_on_the_way(code: CodeType) -> bool:
    return code is Celery.either.__code__ or any(part in code.co_filename for part in _ON_THE_WAY)


def _kept() -> Iterator[tuple[type, dict[str, list[str]]]]:
    """Yield classes with their attributes that keep settings."""
    for kind, function in KEEPERS:
        yield kind, _assigned(function)
    yield Task, {name: [setting] for name, setting in Task.from_config}
    yield celery.app.amqp.Queues, QUEUES
    yield celery.backends.base.Backend, BACKEND


def _assigned(function: Callable[..., Any]) -> dict[str, list[str]]:
    """Return the attributes of `self` that *function* sets, each with the settings that its value names."""
    found: dict[str, list[str]] = defaultdict(list)
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Assign):
            named = [_word(part) for part in ast.walk(node.value)]
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    found[target.attr] += sorted(SETTINGS.intersection(named))
    return {attribute: settings for attribute, settings in found.items() if settings}


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
