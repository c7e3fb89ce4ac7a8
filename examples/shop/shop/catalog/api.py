"""The catalogue's HTTP interface."""

from flask import Blueprint, Response, jsonify, request

from shop.catalog import client, limits, pricing, store
from shop.web import needs_service_login

api = Blueprint("catalog", __name__)


@api.get("/products")
def list_products():
    found = store.products()
    if request.args.get("sort") == "bestselling":
        rank = {each["sku"]: each["sold"] for each in client.bestsellers(limit=100)}
        found.sort(key=lambda product: -rank.get(product["sku"], 0))
    return jsonify(products=found)


@api.get("/products/<sku>")
def show_product(sku):
    return jsonify(store.product(sku))


@api.post("/quote")
def quote():
    wanted = request.get_json()
    return jsonify(pricing.quote(wanted["lines"], wanted.get("delivery", "default")))


@api.put("/reservations/<order_id>")
@needs_service_login
def reserve(order_id):
    store.reserve(order_id, request.get_json()["lines"])
    return jsonify(order_id=order_id, state="held"), 201


@api.post("/reservations/<order_id>/commit")
@needs_service_login
def commit(order_id):
    limits.warehouse.enter()
    return jsonify(order_id=order_id, lines=store.commit(order_id))


@api.delete("/reservations/<order_id>")
@needs_service_login
def release(order_id):
    return jsonify(order_id=order_id, lines=store.release(order_id))


@api.post("/products/<sku>/restock")
@needs_service_login
def restock(sku):
    stock = store.restock(sku, int(request.get_json()["quantity"]))
    return jsonify(sku=sku, stock=stock, told=client.tell_restocked(sku, stock))


@api.get("/export/stock.csv")
@needs_service_login
def export_stock():
    return Response(store.as_csv(), mimetype="text/csv")
