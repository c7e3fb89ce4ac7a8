"""The order desk's handling of the catalogue's answers."""

from unittest import mock

import pytest
import requests
import responses

from shop.errors import BadRequest, Busy, CatalogUnavailable, NotFound, OutOfStock
from shop.orders import client

CATALOG = "http://localhost:5001"


def answer(status=200, body=None, **headers):
    made = mock.create_autospec(requests.Response, instance=True)
    made.status_code = status
    made.ok = status < 400
    made.json.return_value = body
    made.reason = "reason"
    made.headers = headers
    return made


def test_a_product_is_fetched_with_a_timeout():
    with mock.patch("shop.orders.client.requests.get") as get:
        get.return_value = answer(body={"sku": "whisk"})

        assert client.product("whisk") == {"sku": "whisk"}
    get.assert_called_once_with(CATALOG + "/products/whisk", timeout=client.TIMEOUT)


def test_a_missing_product_is_not_found():
    with mock.patch("shop.orders.client.requests.get", return_value=answer(404, {"message": "no x"})):
        with pytest.raises(NotFound, match="no x"):
            client.product("x")


@pytest.mark.parametrize(
    "error",
    [requests.ConnectTimeout("slow"), requests.ReadTimeout("slow"), requests.ConnectionError("gone")],
)
def test_no_price_means_unavailable(error):
    with mock.patch("shop.orders.client.requests.post", side_effect=error):
        with pytest.raises(CatalogUnavailable) as caught:
            client.quote([], "default")
    assert caught.value.__cause__ is error


@responses.activate
def test_a_page_of_a_proxy_is_no_answer():
    responses.get(CATALOG + "/products/whisk", body="<html>oops</html>", status=200)

    with pytest.raises(CatalogUnavailable, match="no JSON"):
        client.product("whisk")


@responses.activate
def test_the_warehouse_tells_when_to_come_back():
    responses.post(CATALOG + "/reservations/o1/commit", json={}, status=429, headers={"Retry-After": "0.5"})

    with pytest.raises(Busy) as caught:
        client.commit("o1")
    assert caught.value.retry_after == 0.5


@responses.activate
@pytest.mark.parametrize("status, error", [(409, OutOfStock), (400, BadRequest), (404, NotFound)])
def test_refusals_become_errors_of_the_shop(status, error):
    responses.put(CATALOG + "/reservations/o1", json={"message": "too little stock of cup-2"}, status=status)

    with pytest.raises(error):
        client.reserve("o1", [{"sku": "cup-2", "quantity": 1}])


@responses.activate
def test_too_little_stock_names_the_product():
    responses.put(CATALOG + "/reservations/o1", json={"message": "too little stock of cup-2"}, status=409)

    with pytest.raises(OutOfStock) as caught:
        client.reserve("o1", [{"sku": "cup-2", "quantity": 1}])
    assert caught.value.sku == "cup-2"


@responses.activate
def test_a_lost_connection_comes_through_to_the_task():
    responses.post(CATALOG + "/reservations/o1/commit", body=requests.ConnectionError("cut"))

    with pytest.raises(requests.ConnectionError):
        client.commit("o1")


@responses.activate
def test_what_nobody_thought_of_is_an_http_error():
    responses.delete(CATALOG + "/reservations/o1", json={"message": "teapot"}, status=418)

    with pytest.raises(requests.exceptions.HTTPError):
        client.release("o1")


def test_threads_do_not_share_a_session():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as other:
        assert client.session() is not other.submit(client.session).result()
    assert client.session() is client.session()
