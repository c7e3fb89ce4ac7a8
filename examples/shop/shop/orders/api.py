"""The order desk's HTTP interface."""

import uuid

from flask import Blueprint, jsonify, request

from shop.errors import BadRequest
from shop.orders import client, stats, store, workflow
from shop.web import needs_service_login, needs_signature

api = Blueprint("orders", __name__)


@api.post("/orders")
def place_order():
    wanted = request.get_json()
    if not wanted.get("customer"):
        raise BadRequest("an order needs a customer")
    priced = client.quote(wanted.get("lines", []), wanted.get("delivery", "default"))
    order_id = uuid.uuid4().hex
    store.add(order_id, wanted["customer"], priced, wanted.get("callback_url"))
    workflow.start(order_id)
    return jsonify(id=order_id, total_cents=priced["total_cents"], total=priced["total"]), 201


@api.get("/orders/<order_id>")
def show_order(order_id):
    order = store.get(order_id)
    return jsonify(
        id=order_id,
        status=order["status"],
        total_cents=order["total_cents"],
        workflow=workflow.progress(order_id),
        lines=[{"sku": line["sku"], "packed": bool(line["packed_at"])} for line in store.lines(order_id)],
    )


@api.get("/stats")
def show_stats():
    return jsonify(orders=store.counts(), tasks=stats.runs())


@api.get("/stats/bestsellers")
def show_bestsellers():
    return jsonify(bestsellers=stats.bestsellers(request.args.get("limit", 10, type=int)))


@api.post("/reports/stock")
@needs_service_login
def ask_for_report():
    from celery import current_app

    task = current_app.send_task("shop.tasks.reports.stock_report", kwargs={"keep": 14})
    return jsonify(task=task.id), 202


@api.post("/hooks/restocked")
@needs_signature
def restocked():
    waiting = store.waiting_for(request.get_json()["sku"])
    for order_id in waiting:
        workflow.start(order_id)
    return jsonify(released=waiting)
