"""How the order desk and the tasks call the catalogue."""

import logging
import threading
from typing import Any, Dict, List

import requests
import requests.exceptions

from shop import settings
from shop.errors import BadRequest, Busy, CatalogUnavailable, NotFound, OutOfStock
from shop.http import new_session

try:
    from requests.exceptions import JSONDecodeError
except ImportError:  # requests < 2.27
    JSONDecodeError = ValueError

log = logging.getLogger(__name__)

TIMEOUT = (2, 5)
_local = threading.local()


def session() -> requests.Session:
    """Return this thread's session: `requests` does not promise that threads may share one."""
    if not hasattr(_local, "session"):
        config = settings.current()
        _local.session = new_session(config.service_user, config.service_password)
    return _local.session


def forget_session() -> None:
    _local.__dict__.clear()


def product(sku: str) -> Dict[str, Any]:
    response = requests.get("{}/products/{}".format(settings.current().catalog_url, sku), timeout=TIMEOUT)
    return _answer(response)


def quote(lines: List[Dict[str, Any]], delivery: str) -> Dict[str, Any]:
    """Return the present price of *lines*. Raises CatalogUnavailable if the catalogue does not answer."""
    url = settings.current().catalog_url + "/quote"
    try:
        response = requests.post(url, json={"lines": lines, "delivery": delivery}, timeout=TIMEOUT)
    except requests.exceptions.ConnectTimeout as e:
        raise CatalogUnavailable("the catalogue does not take calls") from e
    except requests.exceptions.RequestException as e:
        raise CatalogUnavailable("the catalogue gave no price: {}".format(e)) from e
    return _answer(response)


def reserve(order_id: str, lines: List[Dict[str, Any]]) -> None:
    """Hold stock for an order. Connection errors come through: the task knows how to wait."""
    wanted = [{"sku": line["sku"], "quantity": line["quantity"]} for line in lines]
    url = "{}/reservations/{}".format(settings.current().catalog_url, order_id)
    _answer(session().put(url, json={"lines": wanted}))


def commit(order_id: str) -> int:
    url = "{}/reservations/{}/commit".format(settings.current().catalog_url, order_id)
    return _answer(session().post(url))["lines"]


def release(order_id: str) -> int:
    url = "{}/reservations/{}".format(settings.current().catalog_url, order_id)
    return _answer(session().delete(url))["lines"]


def _answer(response: requests.Response) -> Dict[str, Any]:
    """Return the body of an answer, or raise its error."""
    try:
        body = response.json()
    except JSONDecodeError as e:
        raise CatalogUnavailable(
            "the catalogue answered {} with no JSON".format(response.status_code)
        ) from e
    if response.ok:
        return body
    message = body.get("message", response.reason)
    if response.status_code == requests.codes.too_many_requests:
        raise Busy(float(response.headers.get("Retry-After", 1)))
    if response.status_code == requests.codes.conflict:
        raise OutOfStock(message.rpartition(" ")[2])
    if response.status_code == requests.codes.not_found:
        raise NotFound(message)
    if response.status_code == requests.codes.bad_request:
        raise BadRequest(message)
    response.raise_for_status()
    raise CatalogUnavailable("the catalogue answered {}".format(response.status_code))
