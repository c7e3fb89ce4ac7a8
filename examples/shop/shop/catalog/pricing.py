"""Price of an order. The discount and the delivery prices may change at any moment."""

from decimal import Decimal
from typing import Any, Dict, List

from shop import remote_config
from shop.catalog import store
from shop.errors import BadRequest
from shop.money import cents, pretty, reduced


def quote(lines: List[Dict[str, Any]], delivery: str = "default") -> Dict[str, Any]:
    """Price *lines* by today's prices and settings."""
    priced = [_priced(line) for line in lines]
    if not priced:
        raise BadRequest("an order needs at least one line")
    subtotal = sum(line["price_cents"] * line["quantity"] for line in priced)
    percent = remote_config.number("pricing.discount_percent", 0)
    goods = reduced(subtotal, percent)
    shipping = _shipping_cents(goods, delivery)
    total = goods + shipping
    return {
        "lines": priced,
        "subtotal_cents": subtotal,
        "discount_percent": percent,
        "shipping_cents": shipping,
        "total_cents": total,
        "total": pretty(total, remote_config.text("shop.currency", "EUR")),
    }


def _priced(line: Dict[str, Any]) -> Dict[str, Any]:
    quantity = int(line.get("quantity", 1))
    if quantity < 1:
        raise BadRequest("the quantity of {} is {}".format(line.get("sku"), quantity))
    product = store.product(line["sku"])
    return {
        "sku": product["sku"],
        "quantity": quantity,
        "price_cents": product["price_cents"],
        "weight_grams": product["weight_grams"] * quantity,
    }


def _shipping_cents(goods: int, delivery: str) -> int:
    offers = remote_config.document("shipping.json")
    if delivery not in offers:
        raise BadRequest("no delivery {!r}; there are {}".format(delivery, ", ".join(sorted(offers))))
    free_from = cents(remote_config.amount("pricing.free_shipping_from", "50.00"))
    if delivery == "default" and goods >= free_from:
        return 0
    return cents(Decimal(offers[delivery]["price"]))
