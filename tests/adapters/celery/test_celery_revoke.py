"""Revoking: tasks that have not begun are skipped, by every worker."""

from typing import Any

import pytest
from celery.exceptions import TaskRevokedError

from capa_core.errors import UnsupportedError


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_task_revoked_while_it_waits_is_skipped(project: Any, pool: str) -> None:
    result = project.app.tasks["proj.mark"].delay("never")
    result.revoke()
    with project.worker("-P", pool, "-c", "1"), pytest.raises(TaskRevokedError):
        result.get(timeout=10)

    assert ("REVOKED", []) == (result.state, project.notes())


def test_a_running_worker_receives_a_revocation(project: Any) -> None:
    with project.worker("-P", "prefork", "-c", "1"):
        result = project.app.tasks["proj.mark"].apply_async(("never",), countdown=1.5)
        result.revoke()
        with pytest.raises(TaskRevokedError):
            result.get(timeout=10)

    assert [] == project.notes()


def test_revoking_with_terminate_is_refused(memory_app: Any) -> None:
    with pytest.raises(UnsupportedError, match="remote-control"):
        memory_app.control.revoke("some-id", terminate=True)


def test_a_broadcast_is_refused(memory_app: Any) -> None:
    with pytest.raises(UnsupportedError, match="ping"):
        memory_app.control.ping()


def test_inspect_is_refused(memory_app: Any) -> None:
    with pytest.raises(UnsupportedError, match="active"):
        memory_app.control.inspect().active()


def test_purge_empties_the_queues(memory_app: Any) -> None:
    for _ in range(3):
        memory_app.tasks["add"].delay(1, 1)

    assert (3, 0) == (memory_app.control.purge(), memory_app.control.purge())
