"""Reports for people."""

import time
from pathlib import Path
from typing import List

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from celery.utils.log import get_task_logger

from shop import settings
from shop.http import download, new_session

log = get_task_logger(__name__)


@shared_task(bind=True, soft_time_limit=60, time_limit=90, max_retries=3, default_retry_delay=5)
def stock_report(self, keep: int = 14) -> str:
    """Fetch the stock list and keep the newest *keep* of them; return the name of the new one."""
    import requests

    config = settings.current()
    name = "stock-{}.csv".format(time.strftime("%Y%m%d-%H%M%S"))
    target = config.reports_dir / name
    session = new_session(config.service_user, config.service_password)
    try:
        size = download(session, config.catalog_url + "/export/stock.csv", target)
    except SoftTimeLimitExceeded:
        target.with_name(name + ".part").unlink(missing_ok=True)
        log.error("the stock list took more than a minute; see the catalogue's log")
        raise
    except requests.RequestException as e:
        raise self.retry(exc=e)
    log.info("%s: %d bytes", name, size)
    for old in older_than(config.reports_dir, keep):
        old.unlink()
    return name


def older_than(folder: Path, keep: int) -> List[Path]:
    return sorted(folder.glob("stock-*.csv"))[:-keep]
