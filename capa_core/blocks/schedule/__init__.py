"""Schedules: jobs that run at times by cron, interval or date, each led by one of many processes."""

from capa_core.block import Block, Closing
from capa_core.blocks.schedule._portable import Schedule
from capa_core.blocks.schedule._run import Run
from capa_core.blocks.schedule._served import Handler, Registration
from capa_core.blocks.schedule.driver import (
    At,
    Concurrency,
    Cron,
    Every,
    Job,
    JobSpec,
    Misfire,
    Outcome,
    Request,
    RunStatus,
    ScheduleDriver,
    ScheduleFeature,
    ScheduleLimits,
    StoredJob,
    Trigger,
)

__all__ = [
    "BLOCK",
    "At",
    "Concurrency",
    "Cron",
    "Every",
    "Handler",
    "Job",
    "JobSpec",
    "Misfire",
    "Outcome",
    "Registration",
    "Request",
    "Run",
    "RunStatus",
    "Schedule",
    "ScheduleDriver",
    "ScheduleFeature",
    "ScheduleLimits",
    "StoredJob",
    "Trigger",
]

BLOCK = Block(
    name="schedule",
    portable=Schedule,
    driver=ScheduleDriver,
    features=ScheduleFeature,
    embedded="sqlite",
    server="redis",
    closing=Closing.INTAKE,
    face=("Run", "Schedule"),
)
