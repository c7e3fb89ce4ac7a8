"""Settings and options that change nothing in a worker of Capa: each is named in the log, with reason and next step."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from celery.app.defaults import NAMESPACES, flatten

from capa_celery._sdk import SDK
from capa_core.call.loggers import named_logger
from capa_core.shims import details

logger = named_logger("celery.capa.worker")

_PREFIX = "worker_"
_OF_PROCESSES = ("max_tasks_per_child", "max_memory_per_child", "time_limit", "soft_time_limit")


def warn_of_settings(worker: Any) -> None:
    """Log each setting of a worker that the application has changed and that the import map says has no effect."""
    conf = worker.app.conf
    defaults = {name: option.default for name, option in flatten(NAMESPACES) if name.startswith(_PREFIX)}
    given = {name: conf[name] for name in defaults if conf.value_set_for(name)}
    if method := vars(worker).get("pool_start_method"):  # an option too, as of Celery 5.6
        given["worker_pool_start_method"] = method
    changed = {name: value for name, value in given.items() if value != defaults.get(name)}
    if not changed:
        return
    for line in _lines():
        for name in changed.keys() & set(line["keys"]):
            instead = f" Instead: {line['instead']}." if "instead" in line else ""
            section = line["see"].partition("#")[2]
            logger.warning(
                "%s = %r is %s.%s %s", name, changed[name], line["reason"], instead, details(SDK, section)
            )


def _lines() -> Iterator[dict[str, Any]]:
    """Yield the groups of settings in the import map, which has their reasons."""
    text = (Path(__file__).parents[1] / "import_map.toml").read_text(encoding="utf-8")
    yield from tomllib.loads(text)["settings"]


def warn_of_options(worker: Any, pool: str) -> None:
    """Log each option that holds for processes, which the threads of *pool* do not obey. Celery ignores these too."""
    given = [name for name in _OF_PROCESSES if getattr(worker, name)]
    if given:
        logger.warning(
            "%s: without effect in the pool %s, whose tasks run in the worker's own process. Choose -P prefork. %s",
            ", ".join(given),
            pool,
            details(SDK, "pools"),
        )
