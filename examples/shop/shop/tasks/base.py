"""Base of the tasks that call other services."""

import celery
import requests
from celery.utils.log import get_task_logger

from shop.errors import CatalogUnavailable

log = get_task_logger(__name__)


class CallsOthers(celery.Task):
    """Try again, ever more slowly, when another service does not answer."""

    abstract = True
    autoretry_for = (requests.ConnectionError, requests.Timeout, CatalogUnavailable)
    retry_backoff = 1
    retry_backoff_max = 30
    retry_jitter = True
    max_retries = 8

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        log.error("%s gave up on %s after %d tries: %s", self.name, args, self.request.retries + 1, exc)
