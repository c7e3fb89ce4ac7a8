"""A worker logs also where the application's logging configuration disables all existing loggers."""

import logging
import logging.config
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery_engines import on_one_engine

from capa_core.call.loggers import named_logger
from capa_core.call.telemetry import logger

APPLICATION = """
import logging.config
from celery import signals
from proj import app

@signals.setup_logging.connect
def configure(**_):
    logging.config.dictConfig({
        "version": 1,  # disable_existing_loggers is true
        "formatters": {"plain": {"format": "%(levelname)s %(name)s %(message)s"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "root": {"level": "INFO", "handlers": ["console"]},
    })
"""
PROGRAM = ["-m", "capa_celery", "-A", "logged", "worker", "-c", "1", "-P"]


@on_one_engine("project")
@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_it_logs_received_tasks(project: Any, pool: str) -> None:
    (project.folder / "logged.py").write_text(APPLICATION)
    with project.process([sys.executable, *PROGRAM, pool]) as worker:
        project.app.tasks["proj.add"].delay(1, 2).get(timeout=20)
        lines = worker.log.read_text()

    assert "INFO celery.worker.strategy Task proj.add" in lines


@pytest.fixture
def silenced() -> Iterator[None]:
    """Disable all existing loggers, and enable them again."""
    logging.getLogger("other.library")
    made = {
        name: one for name, one in logging.root.manager.loggerDict.items() if isinstance(one, logging.Logger)
    }
    before = {name: one.disabled for name, one in made.items()}
    logger("pubsub", "x")
    named_logger("celery.capa.worker")
    logging.config.dictConfig({"version": 1, "incremental": False})
    yield
    for name, one in made.items():
        one.disabled = before[name]


@pytest.mark.usefixtures("silenced")
@pytest.mark.parametrize("name", ["capa.pubsub", "celery.capa.worker"])
def test_capas_loggers_stay_enabled(name: str) -> None:
    assert (False, True) == (
        logging.getLogger(name).disabled,
        logging.getLogger(name).isEnabledFor(logging.ERROR),
    )


@pytest.mark.usefixtures("silenced")
def test_other_loggers_are_disabled_as_ever() -> None:
    assert logging.getLogger("other.library").disabled


def test_an_application_still_sets_the_level() -> None:
    one = named_logger("celery.capa.test_level")
    one.setLevel(logging.CRITICAL)

    assert not one.isEnabledFor(logging.ERROR)


def test_a_logger_class_of_the_application_is_kept() -> None:
    class Own(logging.Logger):
        pass

    logging.setLoggerClass(Own)
    try:
        one = named_logger("celery.capa.test_class")
    finally:
        logging.setLoggerClass(logging.Logger)

    assert (True, named_logger("celery.capa.test_class")) == (isinstance(one, Own), one)
