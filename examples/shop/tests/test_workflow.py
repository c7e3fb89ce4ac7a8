"""Orders from the desk to the door, with a real catalogue on the other side of the line."""

import hashlib
import hmac
import json
from unittest.mock import Mock, patch

import pytest
from celery import states

from shop.catalog import store as shelf
from shop.errors import OutOfStock
from shop.orders import stats, store, workflow
from shop.orders.status import Status
from shop.tasks import notify

WANTED = {"customer": "ann@example.com", "lines": [{"sku": "whisk", "quantity": 2}, {"sku": "cup-2"}]}


def signed(body: bytes) -> dict:
    return {
        "X-Shop-Signature": hmac.new(b"between-us", body, hashlib.sha256).hexdigest(),
        "Content-Type": "application/json",
    }


@pytest.fixture
def placed(running_catalog, orders_web):
    answer = orders_web.post("/orders", json=WANTED)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return answer.get_json()["id"]


def test_an_order_goes_out_of_the_door(placed, orders_web):
    with patch("shop.orders.workflow.AsyncResult") as result:
        result.return_value.state = states.SUCCESS
        shown = orders_web.get("/orders/" + placed).get_json()

    assert (shown["status"], shown["workflow"]) == ("done", "SUCCESS")
    assert [line["packed"] for line in shown["lines"]] == [True, True]
    assert shelf.product("whisk")["stock"] == 18


def test_all_lines_are_packed_before_the_parcel_is_weighed(running_catalog, order):
    order(whisk=2, cup_2=1, tin_s=3)

    result = workflow.fulfilment("o1").apply()
    assert result.get() == "o1"
    assert store.get("o1")["status"] == Status.DONE


def test_the_way_of_an_order_is_known_by_its_last_task(placed):
    assert store.get(placed)["workflow_id"] is not None


def test_an_order_for_too_much_waits(order):
    notify.order_failed(Mock(id="task-1"), OutOfStock("whisk"), None, order(whisk=25))

    assert store.waiting_for("whisk") == ["o1"]


def test_an_order_that_fails_otherwise_is_rejected(order, caplog):
    notify.order_failed(Mock(id="task-1"), ValueError("odd"), None, order(whisk=1))

    assert store.get("o1")["status"] == Status.REJECTED
    assert "task-1" in caplog.text


def test_new_stock_sets_waiting_orders_on_their_way(running_catalog, orders_web, order):
    store.move(order(whisk=25), Status.BACKORDERED)
    shelf.restock("whisk", 10)
    body = json.dumps({"sku": "whisk", "stock": 30}).encode()

    answer = orders_web.post("/hooks/restocked", data=body, headers=signed(body))
    assert answer.get_json() == {"released": ["o1"]}
    assert store.get("o1")["status"] == Status.DONE


def test_unsigned_news_are_refused(orders_web):
    assert orders_web.post("/hooks/restocked", json={"sku": "whisk"}).status_code == 403


def test_without_a_catalogue_no_order_is_taken(orders_web, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")

    answer = orders_web.post("/orders", json=WANTED)
    assert (answer.status_code, answer.get_json()["error"]) == (503, "CatalogUnavailable")
    assert store.counts() == {}


def test_an_order_without_customer_is_refused(orders_web):
    assert orders_web.post("/orders", json={"lines": []}).status_code == 400


def test_an_unknown_product_is_refused(running_catalog, orders_web):
    wanted = dict(WANTED, lines=[{"sku": "spoon", "quantity": 1}])

    assert orders_web.post("/orders", json=wanted).status_code == 404


def test_figures_are_shown(placed, orders_web):
    figures = orders_web.get("/stats").get_json()

    assert figures["orders"] == {"done": 1}
    assert figures["tasks"]["repeated"] == 0


def test_a_closed_order_stays_closed(placed):
    assert store.move(placed, Status.EXPIRED) is False
    assert stats.recount_bestsellers() == 2


def test_both_services_are_healthy(catalog_web, orders_web):
    for web, name in [(catalog_web, "catalog"), (orders_web, "orders")]:
        assert web.get("/healthz").get_json()["service"] == name
        assert web.get("/healthz").headers["X-Served-By"] == name
