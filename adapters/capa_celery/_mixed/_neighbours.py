"""Mingling: a worker that starts learns from those that run what was revoked before, as Celery's does."""

from __future__ import annotations

from typing import Any

from celery.worker import state

from capa_core.call.loggers import named_logger

logger = named_logger("celery.capa.worker")

ANSWER_S = 1.0
"""As long as Celery's own workers wait for an answer."""


def meet(app: Any, hostname: str) -> None:
    """Take over the clock and the revoked tasks of the workers that run, of either kind; they learn this one's.

    While the broker is away, nothing is learnt, and the log says so.
    """
    try:
        answers = app.control.inspect(timeout=ANSWER_S).hello(hostname, list(state.revoked)) or {}
    except app.capa.passing_errors as error:
        logger.warning("no other worker can be asked what was revoked: %s", error)
        return
    for node, answer in answers.items():
        if node == hostname or not isinstance(answer, dict):
            continue
        app.clock.adjust(answer.get("clock") or 0)
        for task_id in answer.get("revoked") or ():
            state.revoked.add(task_id)
