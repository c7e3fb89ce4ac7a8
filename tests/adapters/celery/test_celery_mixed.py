"""Mixed fleets: Celery's own workers and clients, and Capa's, share one Redis database."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery_mixed import CAPA, CELERY, KINDS, PATIENCE_S, MixedFleet
from celery_mixed import mixed as mixed  # noqa: PLC0414 - a fixture
from celery_mixed_client import CONNECTED, ENOUGH
from servers.redis import RedisServer

from capa_core.conformance._tolerance import wait_until

pytestmark = [pytest.mark.server("redis"), pytest.mark.timeout(300)]

OUTCOMES = {
    "add": "aé",
    "chain": 10,
    "group": [0, 2, 4, 6],
    "chord": 12,
    "retry": 2,
    "failure": ["ValueError", "bad", 3],
    "failure in a chord": "ChordError",
    "eta": [3, True],
    "revoke": "TaskRevokedError",
    "headers": [{"tenant": "t1"}, "celery", 0, False],
    "priority": [None, "celery", 7, False],
    "compression": [None, "celery", 0, False],
}
NODES = [f"{kind}@here" for kind in sorted(KINDS)]


@pytest.mark.parametrize(("client", "worker"), [(CELERY, CAPA), (CAPA, CELERY), (CAPA, CAPA)])
def test_a_worker_serves_clients_of_either_kind(mixed: MixedFleet, client: str, worker: str):
    with mixed.worker(worker, "-c", "2"), mixed.client(client, "steps") as asking:
        assert asking.answer() == OUTCOMES


@pytest.mark.parametrize("client", KINDS)
def test_workers_of_both_kinds_do_the_tasks_of_one_queue(mixed: MixedFleet, client: str):
    both = mixed.worker(CELERY, "-c", "1"), mixed.worker(CAPA, "-c", "1")
    with both[0], both[1], mixed.client(client, "load", 60, 10) as asking:
        found = asking.answer()

    assert found["numbers"] == list(range(60))
    assert found["totals"] == [12] * 10
    assert sorted(found["worked"]) == NODES
    assert all(found["worked"].values()), found["worked"]


@pytest.mark.parametrize("client", KINDS)
def test_workers_of_both_kinds_answer_commands_and_send_events(mixed: MixedFleet, client: str):
    both = mixed.worker(CELERY, "-c", "1", "-E"), mixed.worker(CAPA, "-c", "1", "-E")
    with both[0], both[1], mixed.client(client, "commands") as asking:
        found = asking.answer()

    assert found["answered"] == dict.fromkeys(("ping", "registered", "active", "stats"), NODES)
    assert found["queues"] == {node: ["celery"] for node in NODES}
    assert found["workers"] == NODES


def test_no_task_is_lost_with_a_worker_of_capa_that_is_killed(mixed: MixedFleet):
    with ExitStack() as running:
        running.enter_context(mixed.worker(CELERY, "-c", "1"))
        asking = running.enter_context(mixed.client(CELERY, "load_until_enough"))
        for _ in range(5):
            worker = running.enter_context(mixed.worker(CAPA, "-P", "threads", "-c", "4"))
            wait_until(lambda: mixed.stopped_with_tasks(worker), patience_s=PATIENCE_S)  # noqa: B023 - called at once
            worker.kill()
            worker.wait()
        running.enter_context(mixed.worker(CAPA, "-c", "2"))
        (mixed.folder / ENOUGH).touch()

        assert asking.answer() == [True, True, True]


def test_a_task_before_its_eta_survives_the_worker_that_holds_it(mixed: MixedFleet):
    with mixed.worker(CAPA, "-P", "solo") as worker, mixed.client(CELERY, "send_later"):
        wait_until(mixed.holding, patience_s=PATIENCE_S)
        worker.kill()
        worker.wait()
        lost = mixed.leases()
        with mixed.worker(CAPA, "-P", "solo"):
            wait_until(lambda: mixed.leases() not in ([], lost), patience_s=PATIENCE_S)

    assert len(lost) == 1


def test_a_worker_that_starts_later_knows_what_was_revoked_before(mixed: MixedFleet):
    with mixed.worker(CELERY, "-P", "solo") as first:
        with mixed.client(CELERY, "revoked", "unwanted") as asking:
            assert asking.answer() == 1
        with mixed.worker(CAPA, "-P", "solo"):
            first.kill()
            first.wait()
            with mixed.client(CELERY, "sent_as", "unwanted") as asking:
                state = asking.answer()

    assert state == "REVOKED"


def test_a_part_that_comes_again_waits_for_the_claim_of_a_dead_worker_and_sends_the_body_once(
    mixed: MixedFleet,
):
    with mixed.client(CAPA, "part_that_comes_again", 1500) as asking:
        assert asking.answer() == [1, 1]


def test_a_result_waits_for_a_server_that_comes_back(tmp_path: Path, start_redis: Callable[[], RedisServer]):
    server = start_redis()
    fleet = MixedFleet(tmp_path, server.url)
    with fleet.client(CAPA, "stored_while_the_server_is_away") as asking:
        wait_until(lambda: asking.has_said(CONNECTED), patience_s=PATIENCE_S)
        server.kill()
        (tmp_path / ENOUGH).touch()
        wait_until(lambda: asking.has_said("Retry (0/"), patience_s=PATIENCE_S)
        server.start()

        assert asking.answer() == "SUCCESS"


def test_purging_removes_the_waiting_tasks_of_the_fleet(mixed: MixedFleet):
    with mixed.client(CAPA, "purged") as asking:
        assert asking.answer() == 3


def test_a_worker_that_stops_leaves_its_tasks_to_the_other_kind(mixed: MixedFleet):
    with mixed.worker(CAPA, "-P", "solo") as worker, mixed.client(CELERY, "send_later"):
        wait_until(mixed.holding, patience_s=PATIENCE_S)
        worker.terminate()
        worker.wait(PATIENCE_S)
        left = mixed.holding()
        with mixed.worker(CELERY, "-P", "solo"):
            wait_until(mixed.holding, patience_s=PATIENCE_S)

    assert left == 0
    assert mixed.leases() == []
