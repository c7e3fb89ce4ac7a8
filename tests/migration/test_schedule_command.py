"""`capa schedule`: jobs shown safely, requests and suspensions that leaders follow, and CronJobs that validate."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

import kubernetes_validate
import pytest
import yaml

from capa_core import Runtime
from capa_core.conformance._tolerance import wait_until
from capa_migration.cli import main
from capa_migration.live.cronjobs import Container, export

SOON = datetime(2100, 1, 1, tzinfo=UTC)
KUBERNETES = "1.37.0"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPA_PROFILE", raising=False)
    (tmp_path / "capa.toml").write_text('[schedule.default]\ndriver = "sqlite"\n')
    return tmp_path


@pytest.fixture
def schedule(settings):
    with Runtime(start=settings) as runtime:
        yield runtime.schedule()


@pytest.fixture
def command(settings, capsys):
    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(["schedule", *words])
        except SystemExit as usage:
            code = int(usage.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def store(schedule, handler=print, **jobs):
    """Store jobs with these options, and lead them."""
    for name, options in jobs.items():
        schedule.add(name, handler, **options)
    schedule.start()
    wait_until(lambda: all((job := schedule.get(name)) and job.token for name in jobs))


def rows(out):
    return [re.split(r"  +", line) for line in out.splitlines()]


def test_jobs_are_listed_with_their_times(command, schedule):
    store(
        schedule,
        reports={"cron": "0 3 * * *", "zone": "Europe/Berlin"},
        close={"at": SOON},
        sync={"every": timedelta(days=3_000)},
    )
    schedule.pause("sync")
    code, out, _ = command("list")
    head, close, reports, sync = rows(out)

    assert 0 == code
    assert ["job", "times", "next run (UTC)", "last run (UTC)", "outcome", "leader"] == head
    assert ["close", "once at 2100-01-01 00:00:00", "2100-01-01 00:00:00", "-", "-"] == close[:5]
    assert ["reports", "0 3 * * * Europe/Berlin"] == reports[:2]
    assert ["sync", "every 2.592e+08 s", "suspended"] == sync[:3]


def test_a_name_never_reaches_the_terminal_as_control_characters(command, schedule):
    store(schedule, **{"a\x1b[31m\nb": {"every": 60}})
    _, out, _ = command("list")

    assert r"a\x1b[31m\nb  every 60 s" in out


def test_a_requested_run_is_begun_by_the_leader_and_shown(command, schedule):
    def fail(run):
        raise ValueError("no\x1b stock")

    store(schedule, fail, reports={"at": SOON})
    code, out, _ = command("run", "reports")
    ident = out.split()[1]
    wait_until(lambda: schedule.get("reports").history)
    _, history, _ = command("history", "reports")
    _, data, _ = command("history", "reports", "--json")
    (run,) = json.loads(data)["runs"]

    assert 0 == code
    assert (
        f"run {ident} of reports requested: the process that leads the job sees it within a second\n" == out
    )
    assert [ident, "failed", r"requested; ValueError: no\x1b stock"] == [
        rows(history)[1][at] for at in (0, 3, 5)
    ]
    assert (ident, "failed", True) == (run["id"], run["outcome"], run["manual"])


def test_a_job_is_suspended_and_resumed(command, schedule):
    store(schedule, reports={"at": SOON})
    paused = command("pause", "reports"), schedule.get("reports").suspended
    resumed = command("resume", "reports"), schedule.get("reports").suspended

    assert ((0, "reports is suspended\n", ""), True) == paused
    assert ((0, "reports is due next at 2100-01-01 00:00:00\n", ""), False) == resumed


def test_the_list_is_data_with_json(command, schedule):
    store(schedule, reports={"cron": "0 3 * * *"}, other={"at": SOON})
    _, out, _ = command("list", "reports", "--json")
    found = json.loads(out)
    (job,) = found["jobs"]

    assert ("default", "reports", False) == (found["component"], job["name"], job["suspended"])
    assert {"kind": "cron", "expression": "0 3 * * *", "zone": "UTC"} == job["spec"]["trigger"]
    assert datetime.fromisoformat(job["next_at"]).tzinfo is not None


@pytest.mark.parametrize("action", ["run", "pause", "resume", "history"])
def test_a_job_that_is_not_there_is_named(command, action):
    code, out, err = command(action, "report")

    assert (2, "") == (code, out)
    assert err.startswith(f"capa schedule {action}: schedule 'default' has no job 'report'")


def test_no_job_is_listed_that_is_not_there(command):
    assert "no jobs in component default" in command("list")[1]
    assert (3, "") == command("list", "report")[:2]


def test_another_component_is_not_changed_by_a_mistyped_name(command, schedule):
    store(schedule, reports={"at": SOON})
    code, _, err = command("pause", "reports", "--component", "nightli")

    assert 3 == code
    assert "there is no [schedule.nightli]: component default serves that name; nothing was changed" in err
    assert not schedule.get("reports").suspended


def test_an_engine_that_does_not_answer_is_named(command, settings):
    (settings / "capa.toml").write_text(
        '[schedule.default]\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"\nretries = 0\n'
    )
    code, out, err = command("list")

    assert (2, "") == (code, out)
    assert "capa schedule list: schedule 'default': names failed" in err


# CronJobs


def test_exported_cronjobs_validate(command, schedule):
    store(
        schedule,
        reports={"cron": "0 3 * * MON-FRI", "zone": "Europe/Berlin", "misfire": "skip", "recover": True},
        **{
            "Clean up!": {"every": timedelta(minutes=15), "concurrency": "replace", "history_limit": 3},
            "half-day": {"every": timedelta(hours=12), "concurrency": "allow"},
        },
    )
    schedule.pause("reports")
    code, out, err = command(
        "export", "--kubernetes", "--image", "shop:1.4", "--command", "python -m 'shop jobs' {job}"
    )
    manifests = {one["metadata"]["name"]: one for one in yaml.safe_load_all(out)}

    assert (0, "") == (code, err)
    assert {"clean-up", "half-day", "reports"} == set(manifests)
    for manifest in manifests.values():
        assert KUBERNETES.startswith(kubernetes_validate.validate(manifest, KUBERNETES, strict=True)[:4])
    reports, clean = manifests["reports"], manifests["clean-up"]
    assert {
        "schedule": "0 3 * * MON-FRI",
        "timeZone": "Europe/Berlin",
        "concurrencyPolicy": "Forbid",
        "suspend": True,
        "startingDeadlineSeconds": 60,
        "successfulJobsHistoryLimit": 20,
        "failedJobsHistoryLimit": 20,
    } == {key: value for key, value in reports["spec"].items() if key != "jobTemplate"}
    assert ("Replace", 3, "Clean up!") == (
        clean["spec"]["concurrencyPolicy"],
        clean["spec"]["failedJobsHistoryLimit"],
        clean["metadata"]["annotations"]["capa-job"],
    )
    assert ["python", "-m", "shop jobs", "Clean up!"] == _container(clean)["command"]
    assert [1, 0] == [one["spec"]["jobTemplate"]["spec"]["backoffLimit"] for one in (reports, clean)]


def test_the_schema_refuses_what_is_no_cronjob(command, schedule):
    """So the check above can fail."""
    store(schedule, reports={"cron": "0 3 * * *"})
    _, out, _ = command("export", "--kubernetes", "--image", "i", "--json", "--namespace", "shop")
    (manifest,) = json.loads(out)["manifests"]
    manifest["spec"]["timezone"] = manifest["spec"].pop("timeZone")

    assert "shop" == manifest["metadata"]["namespace"]
    assert ["reports"] == _container(manifest)["args"]
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_a_job_that_no_cronjob_can_be_is_refused_and_the_others_are_written(command, schedule):
    store(
        schedule,
        good={"cron": "0 3 * * *"},
        once={"at": SOON},
        **{"A b": {"every": 60}, "a-b": {"every": 60}, "é": {"every": 60}},
    )
    code, out, err = command("export", "--kubernetes", "--image", "i", "--json")
    refused = json.loads(out)["refused"]

    assert (2, ["good"]) == (code, [one["metadata"]["name"] for one in json.loads(out)["manifests"]])
    assert {"once", "A b", "a-b", "é"} == set(refused)
    assert "capa schedule export: once: it runs once, and a CronJob again and again: write a Job\n" in err
    assert "another job would be called 'a-b' in Kubernetes too" == refused["A b"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cron": "0 3 L * *"}, "has no L and no #"),
        ({"cron": "0 3 LW * *"}, "has no L and no #"),
        ({"cron": "0 3 * * FRI#2"}, "has no L and no #"),
        ({"cron": "0 3 * * 5L"}, "has no L and no #"),
        ({"cron": "0 3 * * 5-7"}, "write 0 or SUN"),
        ({"cron": "0 3 */2 * MON"}, "both days must match here"),
        ({"every": 90}, "every 90 s: cron has intervals of minutes that divide an hour"),
        ({"every": 7 * 60}, "every 420 s"),
        ({"every": 0.5}, "every 0.5 s"),
        ({"every": 5 * 3600}, "every 18000 s"),
        ({"every": 7 * 86400}, "every 604800 s"),
        ({"every": 60, "misfire": "all"}, "misfire='all'"),
    ],
)
def test_what_kubernetes_reads_otherwise_is_refused(schedule, options, reason):
    store(schedule, k=options)
    refused = export(schedule.jobs(), Container("i")).refused

    assert reason in refused["k"]


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [
        (1, "* * * * *"),
        (15, "7-59/15 * * * *"),
        (60, "37 * * * *"),
        (180, "37 1-23/3 * * *"),
        (1440, "37 4 * * *"),
    ],
)
def test_the_times_of_an_interval_are_kept_to_the_minute(schedule, minutes, expected):
    start = datetime(2026, 1, 5, 4, 37, 12, tzinfo=UTC)
    schedule._clock = lambda: start
    store(schedule, k={"every": timedelta(minutes=minutes)})
    (manifest,) = export(schedule.jobs(), Container("i")).manifests

    assert (expected, "UTC") == (manifest["spec"]["schedule"], manifest["spec"]["timeZone"])


@pytest.mark.parametrize(
    "cron", ["0 3 * JUL *", "0 3 1,15 * MON", "*/5 * * * *", "0 3 */2 * *", "0 3 * * 1-5/2"]
)
def test_an_expression_that_both_read_alike_stays(schedule, cron):
    store(schedule, k={"cron": cron})

    assert [cron] == [one["spec"]["schedule"] for one in export(schedule.jobs(), Container("i")).manifests]


@pytest.mark.parametrize(
    "words",
    [
        ["export", "--image", "i"],
        ["export", "--kubernetes"],
        ["export", "--kubernetes", "--image", "i", "--command", "'a"],
        ["history"],
        ["history", "k", "--most", "0"],
        ["lst"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_3(command, words):
    assert 3 == command(*words)[0]


def _container(manifest):
    (one,) = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return one


def test_it_reports_nothing_itself(settings, command, otlp):
    with (settings / "capa.toml").open("a") as file:
        file.write(f'[telemetry.default]\ndriver = "otlp"\nurl = "{otlp.url}"\n')

    assert (0, "") == (command("list")[0], command("list")[2])
    assert 0 == otlp.seen
