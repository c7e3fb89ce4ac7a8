"""The catalogue over HTTP, its prices, and the gate of the warehouse."""

import pytest

from shop.catalog import limits, pricing, store
from shop.errors import Busy, OutOfStock

LOGIN = ("shop", "open-sesame")


def test_products_are_listed(catalog_web):
    products = catalog_web.get("/products").get_json()["products"]

    assert [each["sku"] for each in products][:2] == ["cup-2", "pot-1l"]


def test_bestsellers_come_first(catalog_web, monkeypatch):
    sold = [{"sku": "whisk", "sold": 8}, {"sku": "tin-s", "sold": 9}]
    monkeypatch.setattr("shop.catalog.client.bestsellers", lambda limit: sold)

    products = catalog_web.get("/products?sort=bestselling").get_json()["products"]
    assert [each["sku"] for each in products][:2] == ["tin-s", "whisk"]


def test_an_unknown_product_is_404(catalog_web):
    answer = catalog_web.get("/products/spoon")

    assert (answer.status_code, answer.get_json()["error"]) == (404, "NotFound")


def test_reserving_needs_a_login(catalog_web):
    assert catalog_web.put("/reservations/o1", json={"lines": []}).status_code == 403


def test_reserving_twice_takes_the_goods_once(catalog_web):
    for _ in range(2):
        lines = {"lines": [{"sku": "whisk", "quantity": 3}]}
        assert catalog_web.put("/reservations/o1", json=lines, auth=LOGIN).status_code == 201

    assert store.product("whisk")["stock"] == 17


def test_an_order_is_reserved_whole_or_not_at_all():
    lines = [{"sku": "whisk", "quantity": 3}, {"sku": "cup-2", "quantity": 21}]

    with pytest.raises(OutOfStock):
        store.reserve("o1", lines)
    assert store.product("whisk")["stock"] == 20


def test_released_goods_are_back():
    store.reserve("o1", [{"sku": "whisk", "quantity": 3}])

    assert store.release("o1") == 1
    assert store.release("o1") == 0
    assert store.product("whisk")["stock"] == 20


def test_goods_leave_once(catalog_web):
    store.reserve("o1", [{"sku": "whisk", "quantity": 3}])

    left = [catalog_web.post("/reservations/o1/commit", auth=LOGIN) for _ in range(2)]
    assert [each.get_json()["lines"] for each in left] == [1, 0]


def test_the_stock_list_is_streamed(catalog_web):
    text = catalog_web.get("/export/stock.csv", auth=LOGIN).get_data(as_text=True)

    assert text.splitlines()[:2] == ["sku,name,stock,price_cents", "cup-2,Two cups,20,1890"]


def test_restocking_tells_the_desk(catalog_web, monkeypatch):
    told = []
    monkeypatch.setattr("shop.catalog.client.tell_restocked", lambda *news: told.append(news) or True)

    answer = catalog_web.post("/products/whisk/restock", json={"quantity": 5}, auth=LOGIN)
    assert answer.get_json() == {"sku": "whisk", "stock": 25, "told": True}
    assert told == [("whisk", 25)]


def test_a_small_order_pays_delivery():
    quote = pricing.quote([{"sku": "whisk", "quantity": 1}])

    assert (quote["shipping_cents"], quote["total"]) == (490, "17.80 EUR")


def test_a_large_order_is_delivered_free():
    assert pricing.quote([{"sku": "pot-1l", "quantity": 2}])["shipping_cents"] == 0


def test_a_discount_counts_from_the_moment_it_is_set(change_config):
    lines = [{"sku": "pot-1l", "quantity": 2}]
    before = pricing.quote(lines)["total_cents"]

    change_config("pricing.discount_percent", "20")
    assert (before, pricing.quote(lines)["total_cents"]) == (6980, 5584)


def test_an_unknown_delivery_is_refused(catalog_web):
    wanted = {"lines": [{"sku": "whisk", "quantity": 1}], "delivery": "owl"}

    answer = catalog_web.post("/quote", json=wanted)
    assert answer.status_code == 400
    assert "default, express" in answer.get_json()["message"]


def test_the_gate_lets_so_many_in_each_second():
    now = [0.0]
    gate = limits.Gate(lambda: 2, clock=lambda: now[0])
    gate.enter()

    with pytest.raises(Busy) as caught:
        gate.enter()
    assert caught.value.retry_after == 0.5
    now[0] += 0.5
    gate.enter()


def test_a_busy_warehouse_says_when_to_come_back(catalog_web, monkeypatch):
    store.reserve("o1", [{"sku": "whisk", "quantity": 3}])
    monkeypatch.setattr(limits, "warehouse", limits.Gate(lambda: 1, clock=lambda: 0.0))

    catalog_web.post("/reservations/o1/commit", auth=LOGIN)
    refused = catalog_web.post("/reservations/o1/commit", auth=LOGIN)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1.000")
