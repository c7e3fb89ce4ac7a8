"""Revoking: tasks that have not begun are skipped, by every worker."""

from typing import Any

import pytest
from celery.exceptions import TaskRevokedError


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
