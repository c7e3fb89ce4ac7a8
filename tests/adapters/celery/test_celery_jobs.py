"""The jobs of a worker: each is settled once, and its slot is free before the broker answers."""

from collections.abc import Iterator

import pytest

from capa_celery._worker._jobs import Job, Jobs
from capa_celery._worker._outcomes import AGAIN, DONE, Outcome
from capa_core import PubSub
from capa_core.blocks.pubsub import Intake
from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings


@pytest.fixture
def pubsub() -> Iterator[PubSub]:
    with PubSub(MemoryPubSub(MemoryPubSubSettings())) as pubsub:
        yield pubsub


@pytest.fixture
def intake(pubsub: PubSub) -> Intake:
    pubsub.publish_many("q", [b"1", b"2"], raw=True)
    return pubsub.intake("q", raw=True)


def received(jobs: Jobs, intake: Intake) -> list[Job]:
    found = [Job(message, intake, "q") for message in intake.receive(2)]
    jobs.add(found)
    return found


def test_the_window_learns_of_an_end_before_the_broker(pubsub: PubSub, intake: Intake) -> None:
    seen: list[tuple[int, int]] = []
    jobs = Jobs(lambda count: seen.append((count, pubsub.depth("q"))))
    jobs.settle((job, DONE) for job in received(jobs, intake))

    assert [(2, 2), (0, 0)] == seen


def test_a_job_is_settled_once(pubsub: PubSub, intake: Intake) -> None:
    jobs = Jobs(lambda _count: None)
    first, second = received(jobs, intake)
    jobs.settle([(first, DONE), (second, AGAIN)])
    jobs.settle([(second, DONE)])
    jobs.release([first, second])

    assert (0, 1) == (len(jobs), pubsub.depth("q"))


def test_a_job_waits_no_longer_than_the_engine_can_delay_it() -> None:
    with PubSub(MemoryPubSub(MemoryPubSubSettings(max_delay_s=1))) as pubsub:
        pubsub.publish("q", b"1", raw=True)
        with pubsub.intake("q", raw=True) as intake:
            jobs = Jobs(lambda _count: None)
            (message,) = intake.receive(1)
            job = Job(message, intake, "q")
            jobs.add([job])
            jobs.settle([(job, Outcome(again=True, delay_s=86_400))])

            assert [message.id] == [again.id for again in intake.receive(1, 10)]


def test_a_job_that_was_forgotten_stays_leased(pubsub: PubSub, intake: Intake) -> None:
    jobs = Jobs(lambda _count: None)
    found = received(jobs, intake)
    forgotten = jobs.forget(found)
    jobs.settle((job, DONE) for job in found)

    assert (found, 2) == (forgotten, len(intake))
