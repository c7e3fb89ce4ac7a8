"""The tasks one by one."""

import time
from unittest.mock import patch

import pytest
import requests
import responses
from celery import states
from celery.exceptions import Retry, SoftTimeLimitExceeded

from shop import settings
from shop.errors import Busy, OutOfStock
from shop.orders import stats, store
from shop.orders.status import Status
from shop.tasks import notify, packing, reports, stock, upkeep


def test_reserving_moves_the_order(order):
    with patch("shop.orders.client.reserve") as reserve:
        result = stock.reserve.apply(args=[order(whisk=2)])

    assert (result.state, result.get()) == (states.SUCCESS, "o1")
    assert reserve.call_args.args[1][0]["sku"] == "whisk"
    assert store.get("o1")["status"] == Status.RESERVED


def test_a_lost_connection_is_tried_again(order):
    troubles = [requests.ConnectionError("cut"), requests.Timeout("slow"), None]
    with patch("shop.orders.client.reserve", side_effect=troubles) as reserve:
        assert stock.reserve.apply(args=[order(whisk=2)]).state == states.SUCCESS

    assert reserve.call_count == 3


def test_tries_end():
    with patch("shop.orders.client.commit", side_effect=Busy(0.01)) as commit:
        result = stock.commit.apply(args=["o1"])

    assert result.state == states.FAILURE
    assert isinstance(result.result, Busy)
    assert commit.call_count == 41


def test_too_little_stock_is_not_tried_again(order):
    with patch("shop.orders.client.reserve", side_effect=OutOfStock("whisk")) as reserve:
        result = stock.reserve.apply(args=[order(whisk=2)])

    assert isinstance(result.result, OutOfStock)
    assert reserve.call_count == 1


def test_a_retry_waits_as_long_as_the_warehouse_says():
    with patch("shop.orders.client.commit", side_effect=Busy(3)):
        with patch.object(stock.commit, "retry", side_effect=Retry()) as retry:
            with pytest.raises(Retry):
                stock.commit("o1")

    assert retry.call_args.kwargs["countdown"] == 3


def test_packing_twice_packs_once(order):
    order(whisk=2)

    assert [packing.pack_line("o1", "whisk") for _ in range(2)] == [20, 20]


def test_a_parcel_weighs_its_lines_and_the_box(order):
    assert packing.assemble_parcel.apply(args=([20, 30], order(whisk=2))).get() == 170
    assert store.get("o1")["status"] == Status.PACKED


def test_a_closed_order_sends_one_mail(order, own_data):
    order(whisk=2)
    packing.close_order.delay("o1")
    packing.close_order.delay("o1")
    notify.flush_outbox.delay()

    mails = list((own_data / "mail").iterdir())
    assert [mail.name for mail in mails] == ["o1-shipped.txt"]
    assert "ann@example.com" in mails[0].read_text()


def test_mails_can_be_switched_off(order, own_data, change_config):
    change_config("notifications.enabled", "off")
    packing.close_order.delay(order(whisk=2))

    assert notify.flush_outbox.delay().get() == 0
    assert not (own_data / "mail").exists()


@responses.activate
def test_a_customers_system_is_told(order):
    told = responses.post("http://customer.example.com/hook", json={})

    packing.close_order.delay(order(callback_url="http://customer.example.com/hook", whisk=2))
    assert told.call_count == 1
    assert responses.calls[0].request.body == b'{"order": "o1", "status": "done"}'


@responses.activate
def test_a_customers_system_may_be_away(order):
    hook = "http://customer.example.com/hook"
    responses.post(hook, status=503)
    responses.post(hook, status=200)

    assert notify.call_back.apply(args=[order(whisk=1), hook]).get() == 200


@responses.activate
def test_the_stock_list_is_kept(own_data):
    responses.get("http://localhost:5001/export/stock.csv", body="sku\nwhisk\n")

    name = reports.stock_report.apply(kwargs={"keep": 1}).get()
    assert (own_data / "reports" / name).read_text() == "sku\nwhisk\n"


def test_old_stock_lists_go(tmp_path):
    for day in range(5):
        (tmp_path / "stock-2023010{}.csv".format(day)).touch()

    assert [each.name for each in reports.older_than(tmp_path, 3)] == [
        "stock-20230100.csv",
        "stock-20230101.csv",
    ]


def test_a_report_that_takes_too_long_leaves_no_half_file(own_data):
    def cut(session, url, target):
        target.parent.mkdir(parents=True)
        target.with_name(target.name + ".part").touch()
        raise SoftTimeLimitExceeded()

    with patch("shop.tasks.reports.download", cut):
        result = reports.stock_report.apply()

    assert isinstance(result.result, SoftTimeLimitExceeded)
    assert list((own_data / "reports").iterdir()) == []


def test_forgotten_orders_expire_and_release_their_goods(order):
    order(whisk=2)
    with patch("shop.tasks.upkeep.time.time", return_value=time.time() + 3600):
        with patch("shop.orders.client.release") as release:
            assert upkeep.expire_forgotten_orders.delay().get() == 1

    release.assert_called_once_with("o1")
    assert store.get("o1")["status"] == Status.EXPIRED


def test_bestsellers_are_counted(order):
    order("o1", whisk=2, cup_2=1)
    order("o2", whisk=1)
    for each in ("o1", "o2"):
        packing.close_order.delay(each)

    assert upkeep.refresh_bestsellers.delay().get() == 2
    assert stats.bestsellers(1) == [{"sku": "whisk", "sold": 3}]


def test_every_run_is_on_record(order):
    packing.pack_line.delay(order(whisk=2), "whisk")
    packing.pack_line.delay("o1", "nothing")

    assert stats.runs() == {"tasks": 2, "retried": 0, "repeated": 0}


def test_the_schedule_names_tasks_that_exist():
    from shop import celery_app

    celery_app.loader.import_default_modules()
    planned = {entry["task"] for entry in celery_app.conf.beat_schedule.values()}
    assert planned <= set(celery_app.tasks)


def test_reports_have_a_queue_of_their_own():
    from shop import celery_app

    route = celery_app.amqp.router.route({}, reports.stock_report.name)
    assert route["queue"].name == "reports"
    assert settings.current().broker_url.startswith("redis://")
