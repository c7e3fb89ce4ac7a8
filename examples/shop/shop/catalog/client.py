"""Calls of the catalogue to the order desk: news about stock, and best sellers."""

import json
import logging
from typing import Any, Dict, List

import requests as http

from shop import settings
from shop.http import SignedRequest

log = logging.getLogger(__name__)

TIMEOUT = 3


def tell_restocked(sku: str, stock: int) -> bool:
    """Tell the order desk about new stock; return whether it listened.

    The desk finds waiting orders by itself every few minutes, so a lost message only costs time.
    """
    config = settings.current()
    try:
        answer = http.post(
            config.orders_url + "/hooks/restocked",
            data=json.dumps({"sku": sku, "stock": stock}),
            headers={"Content-Type": "application/json"},
            auth=SignedRequest(config.webhook_secret),
            timeout=TIMEOUT,
        )
        answer.raise_for_status()
    except http.HTTPError as e:
        log.error("the order desk refused the news about %s: %s", sku, e.response.text)
        return False
    except http.RequestException as e:
        log.warning("the order desk missed the news about %s: %s", sku, e)
        return False
    return True


def bestsellers(limit: int) -> List[Dict[str, Any]]:
    """Return the best sellers, or nothing if the order desk does not answer."""
    url = settings.current().orders_url + "/stats/bestsellers"
    try:
        answer = http.get(url, params={"limit": limit}, timeout=TIMEOUT)
    except (http.ConnectionError, http.Timeout):
        return []
    if answer.status_code != http.codes.ok:
        return []
    return answer.json()["bestsellers"]
