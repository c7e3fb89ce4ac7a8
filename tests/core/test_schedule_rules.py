"""Rules of a job: missed runs, runs at the same time, leaders that follow each other; on values alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from capa_core.blocks.schedule import _rules
from capa_core.blocks.schedule._codec import decoded, encoded
from capa_core.blocks.schedule._rules import MOST_RUNNING, Turn
from capa_core.blocks.schedule.driver import At, Cron, Every, Job, JobSpec, Outcome, Request
from capa_core.errors import DataLossError, LockLostError

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def minutes(number: float) -> datetime:
    return START + timedelta(minutes=number)


def made(**spec) -> Job:
    """Return a job that is due each minute from `minutes(1)` on, led under token 1."""
    job = _rules.declared(None, "k", JobSpec(trigger=Every(60, START), **spec), START)
    return replace(job, leader="me", token=1)


def turn(at: float, token: int = 1) -> Turn:
    return Turn("me", token, minutes(at))


def begun(job: Job) -> list[float]:
    """Return the minutes of the runs that are running."""
    return [(run.scheduled_at - START).total_seconds() / 60 for run in job.running]


def left(job: Job) -> list[tuple[str, float, int]]:
    """Return outcome, minute and missed times of the history, oldest first."""
    return [
        (str(run.outcome), (run.scheduled_at - START).total_seconds() / 60, run.missed)
        for run in reversed(job.history)
    ]


def ended(job: Job, at: float) -> Job:
    for run in job.running:
        job = _rules.ended(job, run.id, Outcome.SUCCEEDED, "", minutes(at))
    return job


# In time


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_a_run_that_is_due_begins_and_the_next_one_is_planned(misfire):
    job = _rules.claimed(made(misfire=misfire), turn(1.2))
    (run,) = job.running

    assert ([1], [], minutes(2)) == (begun(job), left(job), job.next_at)
    assert ("me", 1, minutes(1.2), 0, False) == (
        run.leader,
        run.token,
        run.started_at,
        run.missed,
        run.manual,
    )


def test_nothing_happens_before_the_time():
    job = made()

    assert _rules.claimed(job, turn(0.99)) is job
    assert not _rules.has_work(job, minutes(0.99))
    assert _rules.has_work(job, minutes(1))


def test_a_claim_that_is_repeated_changes_nothing():
    """Its answer may have been lost: the write is tried again on what is stored."""
    job = _rules.claimed(made(concurrency="allow"), turn(1.2))

    assert _rules.claimed(job, turn(1.2)) is job


def test_a_clock_that_is_set_back_repeats_no_run():
    job = ended(_rules.claimed(made(), turn(1.2)), 1.3)

    assert all(_rules.claimed(job, turn(at)) is job for at in (1.0, 1.1, 1.99, -600))
    assert [2] == begun(_rules.claimed(job, turn(2)))


# Missed


@pytest.mark.parametrize(
    ("spec", "at", "runs", "history"),
    [
        ({"misfire": "skip"}, 5.5, [5], []),
        ({"misfire": "skip", "misfire_grace_s": 20}, 5.5, [], [("missed", 5, 4)]),
        ({"misfire": "skip", "misfire_grace_s": 20}, 1.5, [], [("missed", 1, 0)]),
        ({"misfire": "once"}, 5.5, [5], []),
        ({"misfire": "once", "misfire_grace_s": 20}, 5.5, [5], []),
        ({"misfire": "all", "concurrency": "allow"}, 5.5, [1, 2, 3, 4, 5], []),
        ({"misfire": "all", "concurrency": "allow", "misfire_limit": 2}, 5.5, [4, 5], []),
        ({"misfire": "all", "misfire_limit": 2}, 5.5, [4], []),
    ],
)
def test_missed_runs_follow_the_rule(spec, at, runs, history):
    job = _rules.claimed(made(**spec), turn(at))

    assert (runs, history) == (begun(job), left(job))


@pytest.mark.parametrize(
    ("spec", "missed"),
    [({"misfire": "once"}, 4), ({"misfire": "skip"}, 4), ({"misfire": "all", "misfire_limit": 2}, 3)],
)
def test_a_run_tells_how_many_were_missed_before_it(spec, missed):
    assert missed == _rules.claimed(made(**spec), turn(5.5)).running[0].missed


def test_runs_that_are_made_up_for_follow_each_other():
    job, seen = made(misfire="all", misfire_limit=3), []
    for at in (5.5, 5.6, 5.7, 5.8):
        job = ended(_rules.claimed(job, turn(at)), at)
    seen = left(job)

    assert [("succeeded", 3, 2), ("succeeded", 4, 0), ("succeeded", 5, 0)] == seen
    assert minutes(6) == job.next_at


def test_a_long_outage_is_counted_to_a_thousand():
    job = _rules.claimed(made(), turn(1_000_000.5))

    assert ([1_000_000], 999) == (begun(job), job.running[0].missed)
    assert minutes(1_000_001) == job.next_at


@pytest.mark.parametrize("misfire", ["skip", "once", "all"])
def test_a_clock_that_jumps_forward_and_back_leaves_one_run(misfire):
    job = ended(_rules.claimed(made(misfire=misfire, misfire_limit=1), turn(500.1)), 500.2)
    back = _rules.claimed(job, turn(3))

    assert back is job
    assert [500] == [minute for _, minute, _ in left(job)]
    assert minutes(4) == _rules.resumed(job, minutes(3)).next_at


def test_a_single_time_is_over_after_its_run():
    job = _rules.declared(None, "k", JobSpec(trigger=At(minutes(-5))), START)
    job = ended(_rules.claimed(job, turn(0)), 0)

    assert ([("succeeded", -5, 0)], None) == (left(job), job.next_at)
    assert not _rules.has_work(job, minutes(9_999))
    assert _rules.resumed(job, START).next_at is None


# At the same time


def test_allow_begins_it_beside():
    job = _rules.claimed(_rules.claimed(made(concurrency="allow"), turn(1)), turn(2))

    assert [1, 2] == begun(job)


def test_allow_has_a_bound():
    job = made(concurrency="allow")
    for at in range(1, MOST_RUNNING + 3):
        job = _rules.claimed(job, turn(at))

    assert MOST_RUNNING == len(job.running)
    assert [("skipped", MOST_RUNNING + 1, 0), ("skipped", MOST_RUNNING + 2, 0)] == left(job)


def test_forbid_skips_it_and_tells_why():
    job = _rules.claimed(_rules.claimed(made(), turn(1)), turn(2))

    assert ([1], [("skipped", 2, 0)], minutes(3)) == (begun(job), left(job), job.next_at)
    assert f"run {job.running[0].id} was still running" == job.history[0].detail
    assert job.history[0].started_at is None


def test_forbid_lets_it_wait_where_all_runs_are_made_up_for():
    first = _rules.claimed(made(misfire="all"), turn(1))
    waiting = _rules.claimed(first, turn(3))
    then = _rules.claimed(ended(waiting, 3.5), turn(3.5))

    assert waiting is first
    assert ([2], minutes(3)) == (begun(then), then.next_at)


def test_replace_waits_until_the_other_one_has_ended():
    first = _rules.claimed(made(concurrency="replace"), turn(1))
    waiting = _rules.claimed(first, turn(3))
    then = _rules.claimed(ended(waiting, 3.5), turn(3.5))

    assert [False, True] == [_rules.must_stop(first, minutes(at)) for at in (1.5, 2)]
    assert waiting is first
    assert ([3], 1) == (begun(then), then.running[0].missed)


# Requests and suspension


def test_a_request_runs_once():
    request = Request(id="r", at=minutes(0.5))
    job = _rules.requested(made(), request)
    running = _rules.claimed(job, turn(0.6))
    done = ended(running, 0.7)

    assert _rules.has_work(job, minutes(0.6))
    assert ("r", True, ()) == (running.running[0].id, running.running[0].manual, running.requested)
    assert all(_rules.requested(each, request) is each for each in (job, running, done))
    assert minutes(1) == done.next_at


def test_a_suspended_job_runs_on_request_alone_and_goes_on_from_now():
    job = _rules.requested(_rules.suspended(made()), Request(id="r", at=START))
    job = ended(_rules.claimed(job, turn(7.5)), 7.6)
    resumed = _rules.resumed(job, minutes(7.7))

    assert [("succeeded", 0, 0)] == left(job)
    assert not _rules.has_work(job, minutes(8))
    assert (False, minutes(8)) == (resumed.suspended, resumed.next_at)
    assert _rules.suspended(job) is job


def test_a_resume_by_a_slower_clock_or_repeated_after_a_claim_repeats_no_run():
    job = ended(_rules.claimed(made(), turn(1)), 1.1)

    assert minutes(2) == _rules.resumed(job, minutes(0.9)).next_at


def test_a_resume_brings_back_the_next_run_from_a_clock_far_ahead():
    job = ended(_rules.claimed(made(), turn(10_000)), 10_000)

    assert minutes(2) == _rules.resumed(job, minutes(1.5)).next_at


# Definitions


def test_the_same_definition_changes_nothing():
    job = made()

    assert _rules.declared(job, "k", job.spec, minutes(30)) is job


def test_a_job_that_was_lost_does_not_repeat_its_single_time():
    spec = JobSpec(trigger=At(minutes(-5)))

    assert [minutes(-5), None] == [
        _rules.declared(None, "k", spec, START, again=again).next_at for again in (False, True)
    ]


def test_an_interval_goes_on_from_its_first_declaration():
    job = made()
    again = replace(job.spec, trigger=Every(60, minutes(0.5)))

    assert _rules.declared(job, "k", again, minutes(30)) is job


def test_other_rules_keep_the_next_run_and_other_times_do_not():
    job = made()
    stricter = _rules.declared(job, "k", replace(job.spec, misfire="skip"), minutes(30))
    nightly = _rules.declared(job, "k", replace(job.spec, trigger=Cron("0 3 * * *")), minutes(30))

    assert (minutes(1), "skip") == (stricter.next_at, stricter.spec.misfire)
    assert datetime(2026, 1, 6, 3, tzinfo=UTC) == nightly.next_at


def test_an_older_definition_that_comes_back_repeats_no_run():
    older, newer = (JobSpec(trigger=At(minutes(at))) for at in (1, 60))
    job = ended(_rules.claimed(_rules.declared(None, "k", older, START), turn(1)), 1.1)
    job = _rules.declared(job, "k", newer, minutes(2))
    back = _rules.declared(job, "k", older, minutes(3))

    assert (minutes(60), None) == (job.next_at, back.next_at)


def test_a_new_definition_from_a_slower_clock_repeats_no_run():
    job = ended(_rules.claimed(made(), turn(1)), 1.1)
    newer = replace(job.spec, trigger=Cron("* * * * MON"))

    assert minutes(2) == _rules.declared(job, "k", newer, minutes(0.9)).next_at


# Leaders


def test_the_runs_of_a_lost_leader_are_lost():
    job = _rules.taken_over(_rules.claimed(made(), turn(1)), turn(1.5, token=2), alive=())

    assert ([], [("lost", 1, 0)], 2) == (begun(job), left(job), job.token)
    assert "its leader me was lost" == job.history[0].detail
    assert _rules.taken_over(job, turn(1.5, token=2), alive=()) is job


def test_a_leader_that_leads_again_keeps_its_own_runs():
    job = _rules.claimed(made(), turn(1))
    again = _rules.taken_over(job, turn(1.5, token=2), alive=[job.running[0].id])

    assert ([1], []) == (begun(again), left(again))


def test_a_lost_run_is_recovered_once():
    job = _rules.claimed(made(recover=True), turn(1))
    second = _rules.taken_over(job, turn(1.5, token=2), alive=())
    third = _rules.taken_over(second, turn(1.7, token=3), alive=())

    assert ([1], job.running[0].id, 2) == (begun(second), second.running[0].recovers, second.running[0].token)
    assert ([], [("lost", 1, 0), ("lost", 1, 0)]) == (begun(third), left(third))


def test_a_lost_run_of_a_suspended_job_is_not_recovered():
    job = _rules.suspended(_rules.claimed(made(recover=True), turn(1)))
    job = _rules.taken_over(job, turn(1.5, token=2), alive=())

    assert ([], [("lost", 1, 0)]) == (begun(job), left(job))


@pytest.mark.parametrize(
    "act",
    [_rules.claimed, lambda job, turn: _rules.taken_over(job, turn, alive=())],
    ids=["claim", "take over"],
)
def test_a_leader_of_before_is_refused(act):
    job = _rules.taken_over(made(), turn(0.5, token=7), alive=())
    with pytest.raises(LockLostError, match="job 'k' is led by me, with a later token"):
        act(job, turn(5, token=6))


def test_the_end_of_a_run_that_counts_as_lost_changes_nothing():
    first = _rules.claimed(made(), turn(1))
    job = _rules.taken_over(first, turn(1.5, token=2), alive=())

    assert _rules.ended(job, first.running[0].id, Outcome.SUCCEEDED, "", minutes(2)) is job


# As a value


def test_a_job_is_the_same_after_its_json():
    job = _rules.requested(_rules.claimed(made(), turn(5.5)), Request(id="r", at=START))

    assert job == decoded("k", encoded(job))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'"x"',
        encoded(made()).replace(b'"every"', b'"moon"'),
        encoded(made()).replace(b"+00:00", b""),
        encoded(made()).replace(b'"name"', b'"nom"'),
        encoded(made()).replace(b"60.0", b'"60"').replace(b'"seconds": 60', b'"seconds": "60"'),
    ],
)
def test_another_programs_value_is_named_and_left(value):
    with pytest.raises(DataLossError, match="the stored job 'k' cannot be read"):
        decoded("k", value)
