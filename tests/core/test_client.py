"""The flat client: each method has the effect of the block's method."""

import inspect
import json
import threading

import pytest

from capa_core import Capa, Runtime
from capa_core.blocks.pubsub import Draft
from capa_core.blocks.state import Delete, Put
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import ClosedError, ConflictError

SECRETS = {"secrets": {"default": {"driver": "memory", "secrets": {"db": {"user": "u", "password": "p"}}}}}


@pytest.fixture
def capa():
    with Capa("shop", runtime=Runtime.in_memory(SECRETS)) as capa:
        yield capa


@pytest.fixture
def received(capa):
    """A function that waits for the next message of `events`/`paid` and returns its data."""
    found, there = [], threading.Semaphore(0)

    def take(message):
        found.append(message)
        there.release()

    def the_next():
        assert there.acquire(timeout=10)
        return found.pop(0)

    with capa.subscribe_events("events", "paid", take):
        yield the_next


def test_every_method_of_the_client_has_a_test_here():
    names = {name for name, _ in inspect.getmembers(Capa, inspect.isfunction) if not name.startswith("_")}

    assert set() == {name for name in names if f"test_{name}" not in globals()}


def test_publish_event(capa, received):
    ident = capa.publish_event("events", "paid", {"id": 42}, attributes={"subject": "s"})
    message = received()

    assert (ident, {"id": 42}, "s") == (message.id, message.json(), message.attributes["subject"])


def test_publish_events(capa, received):
    results = capa.publish_events("events", "paid", [Draft(data=b"1"), b"2"], raw=True)

    assert [True, True] == [result.ok for result in results]
    assert {b"1", b"2"} == {received().data, received().data}


def test_subscribe_events(capa):
    seen = threading.Event()
    subscription = capa.subscribe_events("events", "paid", lambda _message: seen.set(), group="audit")
    capa.publish_event("events", "paid", b"x")

    assert seen.wait(10)
    assert ("paid", "audit") == (subscription.topic, subscription.group)


def test_invoke_method(capa):
    capa.register_method("verb", lambda call: call.request.verb)

    assert b"PUT" == capa.invoke_method("shop", "verb", {"sku": 1}, http_verb="PUT").body


def test_register_method(capa):
    @capa.register_method("double")
    def double(call):
        return {"twice": call.json()["n"] * 2}

    assert {"twice": 6} == json.loads(capa.invoke_method("shop", "double", {"n": 3}).body)


def test_serve(capa):
    capa.register_method("hello", lambda call: f"hello {call.data.decode()}")
    served = capa.serve()
    with Runtime({"invocation": {"shop": {"url": served.url}}}, environ={}) as other:
        body = other.invocation("shop").invoke("hello", "you").body
    served.close()

    assert b"hello you" == body


def test_get_configuration(capa):
    capa.save_configuration("default", {"a": "1", "b": "2"}, group="orders")

    assert {"a": "1"} == {
        key: item.value for key, item in capa.get_configuration("default", ["a"], group="orders").items()
    }


def test_subscribe_configuration(capa):
    seen = threading.Event()
    capa.subscribe_configuration("default", lambda event: "a" in event.changes and seen.set())
    capa.save_configuration("default", {"a": "1"})

    assert seen.wait(10)


def test_save_configuration(capa):
    first = capa.save_configuration("default", {"a": "1"})
    second = capa.save_configuration("default", {"a": "2"})

    assert first != second
    assert "2" == capa.get_configuration("default")["a"].value


def test_delete_configuration(capa):
    capa.save_configuration("default", {"a": "1", "b": "2"})
    capa.delete_configuration("default", ["a"])

    assert ["b"] == list(capa.get_configuration("default"))


def test_get_state(capa):
    etag = capa.save_state("orders", "42", b"paid")
    item = capa.get_state("orders", "42")

    assert ("42", b"paid", etag) == (item.key, item.value, item.etag)
    assert capa.get_state("orders", "43") is None


def test_get_bulk_state(capa):
    capa.save_state("orders", "42", b"paid")

    assert {"42": b"paid"} == {
        key: item.value for key, item in capa.get_bulk_state("orders", ["42", "43"]).items()
    }


def test_save_state(capa):
    capa.save_state("orders", "42", b"paid")

    with pytest.raises(ConflictError):
        capa.save_state("orders", "42", b"sent", if_etag="another")


def test_save_bulk_state(capa):
    etags = capa.save_bulk_state("orders", {"1": b"a", "2": b"b"}, ttl=60)

    assert etags == {key: item.etag for key, item in capa.get_bulk_state("orders", ["1", "2"]).items()}


def test_delete_state(capa):
    etag = capa.save_state("orders", "42", b"paid")

    assert capa.delete_state("orders", "42", if_etag=etag)
    assert not capa.delete_state("orders", "42")


def test_execute_state_transaction(capa):
    capa.save_state("orders", "old", b"x")
    capa.execute_state_transaction("orders", [Put("new", b"y"), Delete("old")])

    assert ["new"] == list(capa.get_bulk_state("orders", ["old", "new"]))


def test_try_lock(capa):
    token = capa.try_lock("default", "invoice", "me", 30)

    assert token > 0
    assert capa.try_lock("default", "invoice", "you", 30) is None


def test_unlock(capa):
    first = capa.try_lock("default", "invoice", "me", 30)
    capa.unlock("default", "invoice", "me")

    assert capa.try_lock("default", "invoice", "you", 30) > first


def test_build_tracer(capa):
    with capa.build_tracer("shop").start_as_current_span("checkout") as span:
        assert not span.is_recording()  # nothing is reported unless capa.toml says so


def test_build_meter(capa):
    assert capa.build_meter("shop").create_counter("orders").add(1) is None


def test_get_next_id(capa):
    assert [1, 2] == [capa.get_next_id("default", "invoices") for _ in range(2)]


def test_schedule_job(capa):
    ran = threading.Event()
    with capa.schedule_job("default", "reports", lambda run: ran.set(), every=0.1) as registration:
        assert ran.wait(30)

    assert "reports" == registration.name


def test_get_job(capa):
    with capa.schedule_job("default", "reports", print, cron="0 3 * * *", zone="Europe/Berlin"):
        wait_until(lambda: capa.get_job("default", "reports"))

    assert "Europe/Berlin" == capa.get_job("default", "reports").spec.trigger.zone
    assert capa.get_job("default", "other") is None


def test_delete_job(capa):
    with capa.schedule_job("default", "reports", print, every=60):
        wait_until(lambda: capa.get_job("default", "reports"))

        assert [True, False] == [capa.delete_job("default", "reports") for _ in range(2)]


def test_execute_database(capa):
    capa.execute_database("orders", "CREATE TABLE orders (id INTEGER PRIMARY KEY)")

    assert 2 == capa.execute_database(
        "orders", "INSERT INTO orders VALUES (:id)", parameters=[{"id": 1}, {"id": 2}]
    )


def test_query_database(capa):
    assert [{"x": 42}] == capa.query_database("orders", "SELECT :x AS x", parameters={"x": 42})


def test_begin_transaction(capa):
    capa.execute_database("orders", "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
    with capa.begin_transaction("orders") as transaction:
        transaction.execute("INSERT INTO orders VALUES (1)")

    assert [{"id": 1}] == capa.query_database("orders", "SELECT id FROM orders")


def test_put_file(capa):
    etag = capa.put_file("default", "a/b", b"content", content_type="text/plain")

    assert (b"content", etag) == (capa.runtime.files().get("a/b"), capa.runtime.files().stat("a/b").etag)


def test_get_file(capa):
    capa.put_file("default", "a/b", b"content")

    assert [b"content", b"te"] == [
        capa.get_file("default", "a/b"),
        capa.get_file("default", "a/b", offset=3, length=2),
    ]


def test_list_file(capa):
    for name in ("a/b", "a/c", "d"):
        capa.put_file("default", name, b"")
    page = capa.list_file("default", "a/", most=1)

    assert (["a/b"], True) == ([each.key for each in page.files], bool(page.token))


def test_del_file(capa):
    capa.put_file("default", "a", b"")
    capa.del_file("default", "a")

    assert capa.get_file_meta("default", "a") is None


def test_get_file_meta(capa):
    capa.put_file("default", "a", b"123", metadata={"n": "1"})
    info = capa.get_file_meta("default", "a")

    assert (3, {"n": "1"}) == (info.size, info.metadata)


def test_get_secret(capa):
    assert "p" == capa.get_secret("default", "db", field="password").reveal()


def test_get_bulk_secret(capa):
    fields = capa.get_bulk_secret("default")["db"]

    assert {"user": "u", "password": "p"} == {name: secret.reveal() for name, secret in fields.items()}


def test_close(capa):
    capa.close()

    with pytest.raises(ClosedError):
        capa.get_state("orders", "42")
