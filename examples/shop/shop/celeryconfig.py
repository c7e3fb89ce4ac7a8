"""Celery's settings. See https://docs.celeryq.dev/en/stable/userguide/configuration.html."""

from datetime import timedelta

from celery.schedules import crontab

from shop import settings

broker_url = settings.current().broker_url
result_backend = settings.current().result_backend
broker_connection_retry_on_startup = True

task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
timezone = "Europe/Berlin"
enable_utc = True

# A worker that is killed must not take its orders along.
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
task_track_started = True
task_time_limit = 300
task_soft_time_limit = 240
result_expires = timedelta(hours=6)

task_routes = {
    "shop.tasks.reports.*": {"queue": "reports"},
    "notify.*": {"queue": "notifications"},
}
task_default_queue = "shop"

beat_schedule = {
    "send-what-waits-in-the-outbox": {
        "task": "notify.flush_outbox",
        "schedule": 2.0,
        "options": {"expires": 30},
    },
    "refresh-bestsellers": {
        "task": "shop.tasks.upkeep.refresh_bestsellers",
        "schedule": timedelta(seconds=30),
    },
    "expire-forgotten-orders": {
        "task": "shop.tasks.upkeep.expire_forgotten_orders",
        "schedule": crontab(minute="*/5"),
    },
    "stock-report": {
        "task": "shop.tasks.reports.stock_report",
        "schedule": crontab(hour=2, minute=30),
        "kwargs": {"keep": 14},
    },
    "weekly-cleaning": {
        "task": "shop.tasks.upkeep.forget_old_runs",
        "schedule": crontab(hour=3, minute=0, day_of_week="sun"),
    },
}
